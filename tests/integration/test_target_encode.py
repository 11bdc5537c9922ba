"""Target encoding: right, the same in both engines and served, and no row is told its own label in training."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from components.errors import ComponentError, SpecError
from components.features import FeatureKind
from components.transform.config import TransformConfig
from components.transform.folded_means import FoldedMeans
from components.transform.outputs import model_inputs, training_inputs
from tests.factories import examples_artifacts, trainer_artifacts, transforms

FEATURES = {"city": "categorical", "size": "numeric"}
FOLDED = "city__out_of_fold"


def noise(rows: int = 6000, cities: int = 1500) -> pa.RecordBatch:
    """Return cities that have nothing to do with the label."""
    random = np.random.default_rng(1)
    return pa.record_batch(
        {
            "city": [f"city {each}" for each in random.integers(0, cities, rows)],
            "size": pa.array(random.normal(size=rows), pa.float32()),
            "target": random.integers(0, 2, rows),
        }
    )


def encoded(
    folder: Path, rows: dict[str, pa.RecordBatch], task: str = "binary_classification", **parameters: Any
) -> transforms.Made:
    chains = {"city": [{"target_encode": {"max_categories": 10_000, **parameters}}], "size": []}
    return transforms.run_in_process(folder, transforms.config_of(FEATURES, chains, task), rows)


def test_a_category_of_pure_noise_looks_good_in_sample_and_useless_out_of_fold(tmp_path: Path) -> None:
    values = encoded(tmp_path, {"train": noise(), "eval": noise()}, smoothing=1).values()
    label = values["label"][:, 0]
    assert roc_auc_score(label, values["city"][:, 0]) > 0.75
    assert roc_auc_score(label, values[FOLDED][:, 0]) == pytest.approx(0.5, abs=0.03)
    # and it is a mean of labels all the same
    assert np.mean(values[FOLDED]) == pytest.approx(np.mean(label), abs=0.01)


def test_a_category_that_says_something_says_it_out_of_fold_too(tmp_path: Path) -> None:
    rows = noise(cities=50)
    city = np.array([int(each.removeprefix("city ")) for each in rows["city"].to_pylist()])
    label = np.random.default_rng(2).random(len(city)) < city / 50
    rows = examples_artifacts.replaced(rows, "target", pa.array(label.astype(np.int64)))
    values = encoded(tmp_path, {"train": rows}).values()
    assert roc_auc_score(label, values[FOLDED][:, 0]) > 0.8


def test_the_served_value_is_the_smoothed_mean_of_all_rows(tmp_path: Path) -> None:
    rows = noise(cities=20)
    made = encoded(tmp_path, {"train": rows, "eval": rows.slice(0, 50)}, smoothing=7)
    frame = rows.to_pandas()
    overall = frame["target"].mean()
    groups = frame.groupby("city")["target"].agg(["sum", "count"])
    means = (groups["sum"] + 7 * overall) / (groups["count"] + 7)
    np.testing.assert_allclose(made.values()["city"][:, 0], frame["city"].map(means), rtol=1e-6)
    np.testing.assert_allclose(made.values("eval")["city"][:, 0], frame["city"].map(means)[:50], rtol=1e-6)
    # a request has no label
    known, unseen = made.served([{"city": "city 3", "size": 0.5}, {"city": "never seen", "size": 0.5}])
    assert known["city"][0, 0] == pytest.approx(means["city 3"], rel=1e-6)
    assert unseen["city"][0, 0] == pytest.approx(overall, rel=1e-6)
    assert set(known) == {"city", "size"}


def test_a_value_out_of_fold_is_the_smoothed_mean_of_the_other_folds(tmp_path: Path) -> None:
    rows = noise(cities=20)
    values = encoded(tmp_path, {"train": rows}, folds=3).values()
    frame = rows.to_pandas().assign(found=values[FOLDED][:, 0])
    for _, members in frame.groupby("city"):
        # three folds, three values: each from the labels of the rows that have one of the two others
        assert members["found"].nunique() == 3
    folds = frame.groupby("city")["found"].rank("dense")
    assert np.min(np.bincount(folds.astype(int))[1:]) > len(frame) / 5


def test_a_regression_is_encoded_and_standardised_by_its_label(tmp_path: Path) -> None:
    rows = noise(cities=20)
    price = (1e5 * np.random.default_rng(4).gamma(2, 1, len(rows))).astype(np.float32)
    rows = examples_artifacts.replaced(rows, "target", pa.array(price))
    (tmp_path / "scaled").mkdir()
    plain = encoded(tmp_path, {"train": rows}, "regression").values()
    scaled = encoded(tmp_path / "scaled", {"train": rows}, "regression", standardize=True).values()
    for name in ("city", FOLDED):
        np.testing.assert_allclose(scaled[name], (plain[name] - price.mean()) / price.std(), atol=1e-4)


def test_rare_categories_get_the_overall_mean(tmp_path: Path) -> None:
    rows = noise(cities=20)
    made = encoded(tmp_path, {"train": rows}, max_categories=3)
    values = made.values()["city"][:, 0]
    kept = set(rows.to_pandas()["city"].value_counts().index[:3])
    rare = np.array([each not in kept for each in rows["city"].to_pylist()])
    np.testing.assert_allclose(values[rare], np.mean(made.values()["label"]), rtol=1e-6)
    assert len(np.unique(values[~rare])) == 3
    assert made.summary["chains"]["city"]["learned"]["categories"] == 3


def test_both_engines_encode_the_same(tmp_path: Path) -> None:
    features = {"company": "categorical", "trip_start_hour": "categorical", "fare": "numeric"}
    chains: dict[str, Any] = {
        "company": [{"fill_missing": "mode"}, "target_encode"],
        "trip_start_hour": ["target_encode"],
        "fare": [],
    }
    rows = examples_artifacts.taxi_rows().slice(0, 2000)
    config = transforms.config_of(features, chains, "binary_classification", expression="tips > 0.2 * fare")
    found = {}
    for engine in ("arrow", "beam"):
        (tmp_path / engine).mkdir()
        made = transforms.run_executor(tmp_path / engine, config, {"train": rows, "eval": rows.slice(0, 100)}, engine)
        values = made.values()
        # Beam writes rows in an order of its own
        names = ["label", "fare", "company", "trip_start_hour", "company__out_of_fold", "trip_start_hour__out_of_fold"]
        table = np.concatenate([values[name].astype(np.float64) for name in names], axis=1).round(6)
        found[engine] = table[np.lexsort(table.T[::-1])]
    np.testing.assert_allclose(found["arrow"], found["beam"], atol=2e-6)


def test_training_reads_the_other_column_and_evaluation_does_not(tmp_path: Path) -> None:
    from components.training.input_fn import EpochOrder, evaluation_dataset, open_split, training_dataset

    made = encoded(tmp_path, {"train": noise(), "eval": noise(rows=500)}, smoothing=1)
    inputs = model_inputs(made.graph)
    assert [each.name for each in inputs] == ["city", "size"]
    for cache in ("always", "never"):
        folders = {split: str(tmp_path / "transformed" / f"Split-{split}") for split in ("train", "eval")}
        task = "binary_classification"
        train = open_split(folders["train"], training_inputs(made.graph), task, 2, cache=cache)  # type: ignore[arg-type]
        evaluation = open_split(folders["eval"], inputs, task, 2, cache=cache)  # type: ignore[arg-type]
        batches = list(training_dataset(train, 1000, EpochOrder(0)))
        read = np.concatenate([features["city"][:, 0] for features, _ in batches])
        np.testing.assert_array_equal(np.sort(read), np.sort(made.values()[FOLDED][:, 0]))
        read = np.concatenate([features["city"][:, 0] for features, _ in evaluation_dataset(evaluation, 100)])
        np.testing.assert_array_equal(read, made.values("eval")["city"][:, 0])


def test_the_trainer_learns_out_of_fold_and_serves_without_a_label(tmp_path: Path) -> None:
    import tensorflow as tf

    from components.training.job import Job
    from components.training.run_fn import run_job

    made = encoded(tmp_path, {"train": noise(), "eval": noise(rows=500)}, smoothing=1)
    columns = {"features": FEATURES, "label": transforms.LABEL, "weight": None}
    schema = tmp_path / "schema" / "schema.pbtxt"
    artifacts = trainer_artifacts.Artifacts(
        tmp_path, tmp_path / "raw", tmp_path / "transformed", made.graph, schema, columns, "binary_classification"
    )
    model = {"family": "wide_and_deep", "hidden_units": [16], "dropout": 0.0}
    optimizer = {"adam": {"learning_rate": 0.03}}
    training = {"epochs": 6, "batch_size": 128, "tensorboard": False, "optimizer": optimizer}
    job = Job(**trainer_artifacts.job_arguments(artifacts, tmp_path / "out", model, training))
    run_job(job)
    history = json.loads((job.run_folder / "history.json").read_text())
    # in sample it would be above 0.75
    assert 0.4 < history["epochs"][-1]["auc"] < 0.6, history
    served = tf.saved_model.load(str(job.serving_folder)).signatures
    answer = served["raw"](city=tf.constant(["city 3"]), size=tf.constant([0.5]))
    assert 0 < float(answer["probability"][0]) < 1


def test_a_model_trained_out_of_fold_does_not_believe_noise(tmp_path: Path) -> None:
    values = encoded(tmp_path, {"train": noise()}, smoothing=1).values()
    label = values["label"][:, 0]
    assert LogisticRegression().fit(values["city"], label).coef_[0, 0] > 3
    assert abs(LogisticRegression().fit(values[FOLDED], label).coef_[0, 0]) < 0.5


def test_rows_that_cannot_be_told_apart_stop_the_run(tmp_path: Path) -> None:
    rows = noise(cities=30).select(["city", "target"])
    config = transforms.config_of({"city": "categorical"}, {"city": ["target_encode"]}, "binary_classification")
    message = "100% of the rows share all features with the other rows of their category"
    with pytest.raises(ComponentError, match=message) as caught:
        transforms.run_in_process(tmp_path, config, {"train": rows})
    assert caught.value.spec_path == "transform.city"
    assert "Declare a feature that tells rows apart" in caught.value.remedy


def test_what_is_learned_does_not_depend_on_the_batches() -> None:
    random = np.random.default_rng(0)
    keys, folds = random.integers(0, 9, 1000), random.integers(0, 4, 1000)
    labels = random.normal(size=1000).astype(np.float32)
    combiner = FoldedMeans(4, 2.0, 5)
    whole = combiner.add_input(combiner.create_accumulator(), (keys, folds, labels))
    parts = [
        combiner.add_input(combiner.create_accumulator(), (keys[i::7], folds[i::7], labels[i::7])) for i in range(7)
    ]
    merged = combiner.merge_accumulators([combiner.create_accumulator(), *parts])
    for one, other in zip(combiner.extract_output(whole), combiner.extract_output(merged), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_no_step_may_follow_and_no_chain_may_have_the_name_of_its_other_column() -> None:
    config = TransformConfig.model_validate({"city": ["target_encode", "z_score"]})
    (problem,) = config.problems({"city": FeatureKind.CATEGORICAL})
    assert problem.location == ("transform", "city", 1)
    assert problem.received == "z_score"
    assert problem.expected == "target_encode as the last step of its chain"
    assert "would differ between training and serving" in problem.remedy
    config = TransformConfig.model_validate({"city": ["target_encode"], FOLDED: ["z_score"]})
    (problem,) = config.problems({"city": FeatureKind.CATEGORICAL, FOLDED: FeatureKind.NUMERIC})
    assert problem.received == f"a chain named '{FOLDED}'"


def test_several_classes_have_no_mean(tmp_path: Path) -> None:
    from pipelines.spec import load_spec

    (tmp_path / "data.csv").write_text("city,size,kind\na,1,x\n")
    file = tmp_path / "spec.yaml"
    file.write_text(
        "name: cities\ntask: multiclass_classification\n"
        "data: {path: data.csv, label: kind, features: {city: categorical, size: numeric}}\n"
        "transform:\n  city: [target_encode]\n"
        "model: {family: wide_and_deep}\n"
    )
    message = "target_encode in a spec with task: multiclass_classification"
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        load_spec(file)
    (problem,) = caught.value.problems
    assert problem.line == 5
    assert "the mean of the numbers of classes means nothing" in problem.expected
    assert "Use vocabulary" in problem.remedy
