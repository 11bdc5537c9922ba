"""The Evaluator on real models: good ones are blessed, bad, broken and unservable ones are not, and it says why."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import sklearn.metrics
from tfx.types import standard_artifacts

from components.engine.config import LOCAL_BEAM_RUNNER
from components.errors import ComponentError
from components.evaluation import evaluator
from components.evaluation.config import METRICS
from tests.integration.exported_models import export, train, trips, write_examples

LABELS = {"binary_classification": "tipped", "multiclass_classification": "kind", "regression": "seconds"}
ROWS = 1500


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Folders of Model artifacts, and of the Examples all are evaluated on."""
    folder = tmp_path_factory.mktemp("models")
    training = trips(4000, seed=1, classes=3)
    write_examples(folder / "examples", trips(ROWS, seed=2, classes=3))
    for task, label in LABELS.items():
        scale = float(training["seconds"].to_numpy().std()) if task == "regression" else 1.0
        export(train(task, training, label), task, folder / task, label=label, scale=scale)
    task = "binary_classification"
    export(train(task, training, "tipped", shuffle_labels=True), task, folder / "shuffled", label="tipped")
    export(train(task, training, "tipped"), task, folder / "weighted", label="tipped", weight="importance")
    broken = train(task, training, "tipped", epochs=1)
    broken.set_weights([np.full_like(weight, np.nan) for weight in broken.get_weights()])
    export(broken, task, folder / "nan", label="tipped")
    return folder


@pytest.fixture
def evaluate(models, tmp_path):
    """Run the executor on named models; returns the folder of the evaluation."""
    runs = itertools.count()

    def run(
        model="binary_classification",
        *,
        baseline=None,
        task="binary_classification",
        weight=None,
        engine="auto",
        **evaluation,
    ):
        run_folder = tmp_path / f"run-{next(runs)}"

        def artifact(kind, folder):
            made = kind()
            made.uri = str(folder)
            return [made]

        config = {
            "evaluation": {"bootstrap_samples": 100, **evaluation},
            "columns": {"label": {"name": LABELS[task], "expression": LABELS[task]}, "weight": weight, "features": {}},
            "task": task,
        }
        runtime = {"root": str(tmp_path), "progress": str(tmp_path / "progress"), "engine": {"name": engine}}
        outputs = {
            "evaluation": artifact(standard_artifacts.ModelEvaluation, run_folder / "evaluation"),
            "blessing": artifact(standard_artifacts.ModelBlessing, run_folder / "blessing"),
        }
        inputs = {
            "examples": artifact(standard_artifacts.Examples, models / "examples"),
            "model": artifact(standard_artifacts.Model, models / model if isinstance(model, str) else model),
            "baseline_model": artifact(standard_artifacts.Model, _baseline(models, baseline, run_folder)),
            "schema": artifact(standard_artifacts.Schema, tmp_path / "schema"),
        }
        context = evaluator.Executor.Context(
            beam_pipeline_args=[LOCAL_BEAM_RUNNER], tmp_dir=str(tmp_path / "tmp"), unique_id="1"
        )
        properties = {"config": json.dumps(config), "runtime": json.dumps(runtime)}
        evaluator.Executor(context).Do(inputs, outputs, properties)
        return _Evaluation(run_folder / "evaluation", outputs["blessing"][0])

    return run


def _baseline(models, name, run_folder) -> Path:
    folder = run_folder / "baseline"
    folder.mkdir(parents=True)
    if name is not None:
        shutil.copytree(models / name, folder, dirs_exist_ok=True)
        noted = {"baseline": {"model_uri": str(models / name), "version": 7}}
        (folder / "summary.json").write_text(json.dumps(noted))
    return folder


class _Evaluation:
    def __init__(self, folder: Path, blessing) -> None:
        self.folder, self.blessing = folder, blessing
        self.verdict = json.loads((folder / "verdict.json").read_text())
        self.metrics = json.loads((folder / "metrics.json").read_text())
        self.summary = json.loads((folder / "summary.json").read_text())

    @property
    def blessed(self) -> bool:
        files = sorted(file.name for file in Path(self.blessing.uri).iterdir())
        flag = self.blessing.get_int_custom_property("blessed") == 1
        assert files == (["BLESSED"] if flag else ["NOT_BLESSED"])
        return flag


GATE = ["auc >= 0.8", "log_loss <= 0.6", {"metric": "auc", "at_least": 0.7, "slice": "company", "confidence": 0.9}]


def test_a_good_model_is_blessed_with_its_numbers_on_record(evaluate):
    found = evaluate(gate=GATE, slices=["hour"])
    assert found.blessed
    assert found.verdict["passed"]
    assert found.verdict["first_model"]
    assert found.verdict["baseline"] is None
    assert found.verdict["servability"]["ok"]
    assert found.verdict["servability"]["requests"] == 50
    assert found.summary["examples"] == ROWS

    table = pq.read_table(found.folder / "predictions.parquet")
    expected = sklearn.metrics.roc_auc_score(table["label"].to_numpy(), table["prediction"].to_numpy())
    auc = found.metrics["overall"]["auc"]
    assert auc["value"] == pytest.approx(expected, abs=1e-12)
    assert auc["interval"][0] < expected < auc["interval"][1]
    assert set(found.metrics["overall"]) == set(METRICS["binary_classification"])
    assert {tuple(each["slice"]) for each in found.metrics["slices"]} == {("hour",), ("company",)}
    assert {"calibration", "confusion", "roc"} <= set(found.metrics)


def test_a_model_trained_on_shuffled_labels_is_blocked_with_reasons(evaluate):
    found = evaluate("shuffled", gate=GATE)
    assert not found.blessed
    assert not found.verdict["passed"]
    assert found.verdict["reasons"][0].startswith("auc >= 0.8 fails: auc is 0.")
    assert any(reason.startswith("auc >= 0.7 on every company fails for") for reason in found.verdict["reasons"])


def test_a_worse_model_does_not_replace_a_better_one(evaluate):
    found = evaluate("shuffled", baseline="binary_classification", gate=["auc drop <= 0.01"])
    (rule,) = found.verdict["rules"]
    assert not found.blessed
    assert not found.verdict["first_model"]
    assert rule["verdict"] == "fail"
    assert rule["change"] == pytest.approx(rule["value"] - rule["baseline_value"])
    assert rule["change_interval"][0] < rule["change"] < rule["change_interval"][1] < 0
    assert found.verdict["baseline"]["version"] == 7
    assert found.metrics["baseline"]["auc"]["value"] == rule["baseline_value"] > 0.8
    assert found.blessing.get_string_custom_property("baseline_model").endswith("baseline")


def test_an_equal_model_may_replace_the_baseline_even_with_confidence(evaluate):
    rule = {"metric": "auc", "drop_at_most": 0.0, "confidence": 0.9}
    found = evaluate(baseline="binary_classification", gate=[rule])
    assert found.blessed
    assert found.verdict["rules"][0]["change_interval"] == [0, 0]


def test_a_baseline_of_another_task_blocks_instead_of_being_ignored(evaluate):
    found = evaluate(baseline="regression", gate=["auc drop <= 0.01"])
    assert not found.blessed
    assert "The baseline could not be measured" in found.verdict["reasons"][0]
    assert found.verdict["rules"][0]["verdict"] == "no_baseline"


def test_a_model_that_answers_nan_stops_the_run_with_what_to_do(evaluate):
    with pytest.raises(ComponentError, match="NaN or infinity for all 1500 rows") as caught:
        evaluate("nan", gate=["auc >= 0.1"])
    assert "lower the learning rate" in caught.value.remedy


@pytest.mark.parametrize(
    ("tamper", "reason"),
    [
        (lambda sample: sample["outputs"]["probability"].__setitem__(3, 0.123), "where training computed 0.123"),
        (lambda sample: sample["outputs"].update(score=[1.0]), "does not answer 'score'"),
        (lambda sample: sample["examples_b64"].pop(), "has 49 values, 50 in training"),
        (lambda sample: sample["outputs"].clear(), "records no requests or no answers"),
        (lambda sample: sample["examples_b64"].__setitem__(0, "bm90IGFuIGV4YW1wbGU="), "could not answer"),
    ],
)
def test_an_export_that_answers_otherwise_than_in_training_is_blocked(evaluate, models, tmp_path, tamper, reason):
    tampered = tmp_path / "tampered"
    shutil.copytree(models / "binary_classification", tampered)
    sample = json.loads((tampered / "sample.json").read_text())
    tamper(sample)
    (tampered / "sample.json").write_text(json.dumps(sample))
    found = evaluate(tampered, gate=["auc >= 0.8"])
    assert not found.blessed
    assert found.verdict["rules"][0]["verdict"] == "pass"
    assert reason in found.verdict["reasons"][0]
    assert "cannot be served as it was trained" in found.verdict["reasons"][0]


def test_a_model_without_recorded_requests_is_blocked_unless_the_spec_turns_the_check_off(evaluate, models, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(models / "binary_classification", bare, ignore=shutil.ignore_patterns("sample.json"))
    assert (
        evaluate(bare, gate=["auc >= 0.8"])
        .verdict["reasons"][0]
        .endswith("has no sample.json with requests to answer.")
    )


def test_the_check_can_be_turned_off(evaluate, models, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(models / "binary_classification", bare, ignore=shutil.ignore_patterns("sample.json"))
    found = evaluate(bare, gate=["auc >= 0.8"], servability=False)
    assert found.blessed
    assert not found.verdict["servability"]["checked"]


def test_a_multiclass_model_is_measured(evaluate):
    task = "multiclass_classification"
    found = evaluate(task, task=task, gate=["accuracy >= 0.5"], slices=["company"])
    table = pq.read_table(found.folder / "predictions.parquet")
    predicted = np.stack(table["prediction"].to_numpy()).argmax(axis=1)
    assert found.blessed
    assert found.metrics["overall"]["accuracy"]["value"] == pytest.approx(
        (predicted == table["label"].to_numpy()).mean()
    )
    assert np.sum(found.metrics["confusion"]["matrix"]) == ROWS


def test_a_regression_model_is_measured(evaluate):
    found = evaluate("regression", task="regression", gate=["r_squared >= 0.5", "rmse <= 200"])
    table = pq.read_table(found.folder / "predictions.parquet")
    expected = sklearn.metrics.r2_score(table["label"].to_numpy(), table["prediction"].to_numpy())
    assert found.blessed
    assert found.metrics["overall"]["r_squared"]["value"] == pytest.approx(expected)
    assert len(found.metrics["residuals"]["sample"]) == 500


def test_weights_weigh(evaluate):
    found = evaluate("weighted", weight="importance", gate=["auc >= 0.8"])
    table = pq.read_table(found.folder / "predictions.parquet")
    columns = [table[name].to_numpy() for name in ("label", "prediction", "weight")]
    expected = sklearn.metrics.roc_auc_score(*columns[:2], sample_weight=columns[2])
    assert found.metrics["overall"]["auc"]["value"] == pytest.approx(expected, abs=1e-9)
    assert expected != pytest.approx(sklearn.metrics.roc_auc_score(*columns[:2]), abs=1e-9)


def test_on_beam_the_verdict_is_the_same(evaluate):
    in_process = evaluate(gate=GATE, slices=["hour"])
    on_beam = evaluate(gate=GATE, slices=["hour"], engine="beam")
    assert (in_process.summary.pop("engine"), on_beam.summary.pop("engine")) == ("arrow", "beam")
    assert on_beam.summary == in_process.summary
    assert on_beam.verdict == in_process.verdict
    assert on_beam.metrics == in_process.metrics
    assert len(list(on_beam.folder.glob("metrics-*.tfrecord"))) == 1


def test_the_runner_is_told_how_far_it_is(evaluate, tmp_path):
    evaluate()
    events = [json.loads(line) for line in (tmp_path / "progress").read_text().splitlines()]
    assert {event["component"] for event in events} == {"Evaluator"}
    assert events[-1]["text"] != events[0]["text"]
    assert any(event["done"] == ROWS for event in events)
