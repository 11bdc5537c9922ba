"""TFMA in process and TFMA on Beam write the same evaluation, which TFMA itself can load."""

from __future__ import annotations

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma

from components.engine.config import LOCAL_BEAM_RUNNER
from components.evaluation import tfma_arrow, tfma_beam
from components.evaluation.measures import SlicedMetrics
from components.evaluation.predictions import FILE_NAME, from_table
from components.evaluation.slices import slice_rows
from components.evaluation.tfma_config import METRIC_CLASSES, eval_config
from tests.integration.exported_models import trips

GROUPS = (("hour",), ("company", "hour"), ("miles_band",))
ROWS = 600


def predictions(task: str) -> pa.Table:
    """Return taxi-like rows with answers of a made-up model; some are exactly 0, 1, 0.5 and on bucket edges."""
    random = np.random.default_rng(5)
    batch = trips(ROWS, seed=4, classes=3)
    signal = 1.5 * batch["miles"].to_numpy() - batch["fare"].to_numpy()
    if task == "binary_classification":
        label, answer = batch["tipped"], (1 / (1 + np.exp(-signal))).astype(np.float32)
        answer[:6] = [0, 1, 0.5, 0.1, 0.25, 0.9999]
        prediction = pa.array(answer)
    elif task == "multiclass_classification":
        label = batch["kind"]
        answers = random.dirichlet(np.ones(3), ROWS).astype(np.float32)
        prediction = pa.FixedSizeListArray.from_arrays(pa.array(answers.reshape(-1)), 3)
    else:
        label, prediction = batch["seconds"], pa.array((600 + 100 * signal).astype(np.float32))
    columns = {"label": label, "prediction": prediction, "weight": batch["importance"]}
    columns |= {f"raw.{name}": batch[name] for name in ("hour", "company")}
    band = pa.array(np.round(batch["miles"].to_numpy() * 2) / 2, pa.float32())
    return pa.table({**columns, "raw.miles_band": band})


def load(folder) -> dict:
    """Return slice to metric to number, through TFMA's own loader."""
    found = {}
    for key, metrics in tfma.load_eval_result(str(folder)).slicing_metrics:
        found[key] = {name: float(value["doubleValue"]) for name, value in metrics[""][""].items()}
    return found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", sorted(METRIC_CLASSES))
def test_both_engines_write_equal_evaluations(task, weighted, tmp_path):
    table = predictions(task)
    if not weighted:
        table = table.set_column(2, "weight", pa.array(np.ones(ROWS, np.float32)))
    pa.parquet.write_table(table, tmp_path / FILE_NAME)
    config = eval_config(task, GROUPS, weighted=weighted)
    found = from_table(table, task)
    groups = [slice_rows(found.columns, group) for group in GROUPS]
    tfma_arrow.write_evaluation(found.candidate, groups, config, str(tmp_path / "arrow"))
    with beam.Pipeline(argv=[LOCAL_BEAM_RUNNER]) as pipeline:
        tfma_beam.write_evaluation(pipeline, str(tmp_path / FILE_NAME), task, config, str(tmp_path / "beam"))

    arrow, on_beam = load(tmp_path / "arrow"), load(tmp_path / "beam")
    assert arrow.keys() == on_beam.keys()
    assert len(arrow) == 1 + sum(len(group.keys) for group in groups)
    for key, metrics in on_beam.items():
        assert arrow[key].keys() == metrics.keys() >= METRIC_CLASSES[task].keys()
        for name, value in metrics.items():
            # Keras adds float32 numbers, in another order: of 600 the seventh digit may differ.
            expected = pytest.approx(value, rel=1e-6, abs=1e-6, nan_ok=True)
            assert arrow[key][name] == expected, (key, name)


@pytest.mark.parametrize("task", sorted(METRIC_CLASSES))
def test_tfmas_numbers_are_the_gates_but_for_its_histogram(task, tmp_path):
    found = from_table(predictions(task), task)
    tfma_arrow.write_evaluation(found.candidate, [], eval_config(task, (), weighted=True), str(tmp_path))
    exact = SlicedMetrics(found.candidate).values
    for name, value in load(tmp_path)[()].items():
        if name in exact:
            tolerance = 5e-3 if name.startswith("auc") else 1e-5
            assert value == pytest.approx(exact[name][0], rel=tolerance), name


def test_tfma_finds_its_files_and_its_configuration(tmp_path):
    found = from_table(predictions("regression"), "regression")
    config = eval_config("regression", (("hour",),), weighted=False)
    groups = [slice_rows(found.columns, ("hour",))]
    tfma_arrow.write_evaluation(found.candidate, groups, config, str(tmp_path))
    result = tfma.load_eval_result(str(tmp_path))
    assert result.config == config
    assert (("hour", 3),) in dict(result.slicing_metrics)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "attributions-00000-of-00001.tfrecord",
        "eval_config.json",
        "metrics-00000-of-00001.tfrecord",
        "plots-00000-of-00001.tfrecord",
    ]


def test_a_computation_without_a_twin_is_refused(tmp_path):
    found = from_table(predictions("regression"), "regression")
    config = eval_config("regression", (), weighted=False)
    config.metrics_specs[0].metrics.add(class_name="SquaredPearsonCorrelation")
    with pytest.raises(NotImplementedError, match="_SquaredPearsonCorrelationCombiner is only computed on Beam"):
        tfma_arrow.write_evaluation(found.candidate, [], config, str(tmp_path))
