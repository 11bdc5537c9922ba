"""The Trainer as TFX runs it: artifacts in, artifacts out, with families and with the user's own model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tfx.types import channel_utils, standard_artifacts

from components.errors import ComponentError
from components.training.component import Trainer, TrainerExecutor
from tests.factories.examples_artifacts import artifact
from tests.factories.trainer_artifacts import Artifacts, job_arguments, make_artifacts

TRAINING = {"epochs": 2, "batch_size": 256, "tensorboard": False}
MODULE = """import keras


def build(inputs, task, num_classes, buckets):
    tensors = {each.name: keras.Input((each.width,), name=each.name, dtype=each.dtype) for each in inputs}
    # A table of its own, which lean saving does not see.
    looked_up = keras.layers.IntegerLookup(vocabulary=list(range(buckets)), output_mode="one_hot")(tensors["hour"])
    hidden = keras.layers.Concatenate()([looked_up, tensors["trip_miles"]])
    return keras.Model(tensors, keras.layers.Dense(1, activation="sigmoid")(hidden))
""".replace('"hour"', '"trip_start_hour"')


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return make_artifacts(tmp_path_factory.mktemp("taxi"), "binary_classification", rows=4000)


def run(artifacts: Artifacts, output: Path, model: dict, source: str | None = None, **training: Any) -> dict[str, Any]:
    """Make the component, run its executor with what TFX would give it, and return the summary."""
    config = job_arguments(artifacts, output, model, {**TRAINING, **training}, source)["config"]
    both = ["train", "eval"]
    inputs = {
        "examples": artifact(standard_artifacts.Examples, artifacts.transformed, both),
        "transform_graph": artifact(standard_artifacts.TransformGraph, artifacts.graph),
        "schema": artifact(standard_artifacts.Schema, artifacts.schema.parent),
        "raw_examples": artifact(standard_artifacts.Examples, artifacts.raw, both),
    }
    channels = {name: channel_utils.as_channel([value]) for name, value in inputs.items()}
    component = Trainer(config, {"root": str(output), "trainer_key": "key"}, **channels)
    assert set(component.outputs) == {"model", "model_run"}
    assert component.executor_spec.executor_class is TrainerExecutor
    outputs = {
        "model": [artifact(standard_artifacts.Model, output / "model")],
        "model_run": [artifact(standard_artifacts.ModelRun, output / "run")],
    }
    TrainerExecutor().Do({name: [value] for name, value in inputs.items()}, outputs, component.exec_properties)
    return json.loads((output / "model" / "summary.json").read_text())


def answers(output: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return what the served model says to its sample, and what the training process said."""
    import base64

    import tensorflow as tf

    sample = json.loads((output / "model" / "sample.json").read_text())
    records = [base64.b64decode(each) for each in sample["examples_b64"]]
    served = tf.saved_model.load(str(output / "model" / "Format-Serving")).signatures["serving_default"]
    return served(examples=tf.constant(records))["probability"].numpy(), np.array(sample["outputs"]["probability"])


def test_tfx_runs_it(artifacts: Artifacts, tmp_path: Path):
    summary = run(artifacts, tmp_path, {"family": "wide_and_deep"}, epochs=4)
    assert summary["metrics"]["val_auc"] > 0.85  # the kind of payment tells much
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "Format-Serving",
        "model.keras",
        "sample.json",
        "summary.json",
    }
    assert not (tmp_path / "checkpoints" / "key").exists()
    np.testing.assert_allclose(*answers(tmp_path), rtol=1e-5)


def test_a_model_of_the_users_own_with_a_table_in_it_is_trained_and_served(artifacts: Artifacts, tmp_path: Path):
    model = {"module": "my_model.py", "builder": "build", "parameters": {"buckets": 30}}
    summary = run(artifacts, tmp_path, model, MODULE)
    assert summary["parameters"] == 31 + 1 + 1
    served, trained = answers(tmp_path)
    np.testing.assert_allclose(served, trained, rtol=1e-5)
    assert len(np.unique(served)) > 50


@pytest.mark.parametrize("way", ["sequential", "functional", "subclassed"])
def test_each_way_to_write_a_model_is_trained_and_served(artifacts: Artifacts, tmp_path: Path, way: str):
    source = (Path(__file__).parents[1] / "factories" / "own_models" / f"{way}.py").read_text()
    summary = run(artifacts, tmp_path, {"module": f"{way}.py", "parameters": {"units": 8}}, source)
    assert ("gradient_norm" in summary["metrics"]) is (way == "subclassed")
    served, trained = answers(tmp_path)
    np.testing.assert_allclose(served, trained, rtol=1e-5)
    assert len(np.unique(served)) > 30


def test_an_error_of_the_users_model_stops_it_with_the_line(artifacts: Artifacts, tmp_path: Path):
    model = {"module": "my_model.py", "parameters": {"buckets": 30}}
    source = MODULE.replace('tensors["trip_miles"]', 'tensors["trip_mils"]')
    with pytest.raises(ComponentError, match=r"my_model.py:8: KeyError: 'trip_mils'") as caught:
        run(artifacts, tmp_path, model, source)
    assert caught.value.spec_path == "model.builder"


def test_data_beyond_the_memory_limit_are_read_from_their_files(
    artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("components.training.input_fn.CACHE_MEMORY_FRACTION", 1e-9)
    summary = run(artifacts, tmp_path / "auto", {"family": "mlp"}, epochs=3)
    assert summary["in_memory"] is False
    cached = run(artifacts, tmp_path / "always", {"family": "mlp"}, epochs=3, cache="always")
    assert cached["in_memory"] is True
    assert summary["rows"] == cached["rows"]
    # All rows fit into one block of the shuffle, so even the order of rows is the same.
    assert summary["metrics"] == pytest.approx(cached["metrics"], rel=1e-4)


def test_weights_of_examples_come_from_their_column(tmp_path: Path):
    heavy = make_artifacts(tmp_path / "weighted", "binary_classification", rows=3000, weight="trip_seconds")
    plain = make_artifacts(tmp_path / "plain", "binary_classification", rows=3000)
    losses = [run(each, each.root / "output", {"family": "mlp"})["metrics"]["val_loss"] for each in (heavy, plain)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-2)
