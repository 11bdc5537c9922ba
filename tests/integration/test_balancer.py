"""Balancer on the taxi data: only the train split changes, and the served model's probabilities stay true."""

from __future__ import annotations

import collections
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score
from tfx.types import channel, standard_artifacts

from components import catalog
from components.balancing.component import Balancer
from components.balancing.config import STEPS
from components.engine.examples import ExampleWriter, read_records
from components.errors import ComponentError, SpecError
from components.training.columns import check_values, load_columns
from components.transform.outputs import model_inputs
from pipelines.build import pipeline_nodes
from pipelines.ir.compile import Target, compile_pipeline
from pipelines.ir.graph import FromTask
from pipelines.ir.reading import read_tasks
from pipelines.ir.rules import check
from pipelines.ir.tasks import run_parameters
from pipelines.listing import catalogue, json_schema
from pipelines.spec import load_spec
from tests.factories.balanced import run_balancer, served, train
from tests.factories.sluice_command import Sluice, output
from tests.factories.small_project import write_project
from tests.factories.trainer_artifacts import Artifacts, make_artifacts

UNDERSAMPLE = [{"random_undersample": 0.8}]
SMOTE_NC = {"smote_nc": {"ratio": 1.0}}


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return make_artifacts(tmp_path_factory.mktemp("taxi"), "binary_classification", rows=6000)


def records(folder: Path, split: str) -> list[bytes]:
    return [record for batch in read_records(folder / f"Split-{split}") for record in batch.to_pylist()]


def labels(rows: list[bytes]) -> np.ndarray:
    spec = {"label": tf.io.FixedLenFeature([], tf.int64)}
    return tf.io.parse_example(tf.constant(rows), spec)["label"].numpy()


def test_the_eval_split_stays_byte_for_byte(taxi: Artifacts, tmp_path: Path) -> None:
    run_balancer(taxi, tmp_path / "out", [*UNDERSAMPLE, SMOTE_NC])
    for before in (taxi.transformed / "Split-eval").iterdir():
        assert (tmp_path / "out" / "Split-eval" / before.name).read_bytes() == before.read_bytes()
    assert records(tmp_path / "out", "train") != records(taxi.transformed, "train")


def test_undersampling_keeps_some_rows_as_they_are_and_in_their_order(taxi: Artifacts, tmp_path: Path) -> None:
    summary = run_balancer(taxi, tmp_path / "out", UNDERSAMPLE)
    kept, all_rows = records(tmp_path / "out", "train"), records(taxi.transformed, "train")
    places = iter(all_rows)
    assert all(row in places for row in kept)  # a subsequence
    counts = collections.Counter(labels(kept).tolist())
    assert counts[1] == (labels(all_rows) == 1).sum()
    assert counts[0] == int(counts[1] / 0.8)
    assert summary["rows_out"] == {"train": len(kept)}
    assert summary["text"] == f"rows by class {counts_text(all_rows)} became {counts_text(kept)}"


def counts_text(rows: list[bytes]) -> str:
    return " / ".join(f"{count:,}" for count in np.bincount(labels(rows)))


def test_oversampling_repeats_rows_byte_for_byte(taxi: Artifacts, tmp_path: Path) -> None:
    run_balancer(taxi, tmp_path / "out", ["random_oversample"])
    before, after = (collections.Counter(records(folder, "train")) for folder in (taxi.transformed, tmp_path / "out"))
    assert before.keys() == after.keys()
    assert all(after[row] >= before[row] for row in before)
    counts = np.bincount(labels(list(after.elements())))
    assert counts[0] == counts[1] == np.bincount(labels(list(before.elements())))[0]


def test_smote_nc_writes_rows_that_the_trainer_reads(taxi: Artifacts, tmp_path: Path) -> None:
    run_balancer(taxi, tmp_path / "out", [SMOTE_NC])
    inputs = model_inputs(taxi.graph)
    columns = load_columns(str(tmp_path / "out" / "Split-train"), inputs, "binary_classification", weighted=False)
    check_values(columns, 2)
    before = set(records(taxi.transformed, "train"))
    new = [row for row in records(tmp_path / "out", "train") if row not in before]
    assert len(new) > 1000
    assert (labels(new) == 1).all()
    # what was made of a row stands behind it, so the file's halves have about as much of each class
    halves = np.array_split(columns.label.ravel(), 2)
    assert abs(halves[0].mean() - halves[1].mean()) < 0.1


@pytest.mark.parametrize("steps", [UNDERSAMPLE, ["random_oversample"], [*UNDERSAMPLE, SMOTE_NC]])
def test_the_rows_are_the_same_however_the_split_is_cut_into_files(
    taxi: Artifacts, tmp_path: Path, steps: list[Any]
) -> None:
    rows = pa.array(records(taxi.transformed, "train"))
    cut = dataclasses.replace(taxi, transformed=tmp_path / "cut")
    for number, start in enumerate(range(0, len(rows), 701)):
        with ExampleWriter(cut.transformed / "Split-train", f"part-{number:02}_tfrecord") as writer:
            writer.write(rows.slice(start, 701))
    with ExampleWriter(cut.transformed / "Split-eval") as writer:
        writer.write(rows.slice(0, 3))
    for artifacts in (taxi, cut):
        run_balancer(artifacts, tmp_path / artifacts.transformed.name / "out", steps)
    assert records(tmp_path / "cut" / "out", "train") == records(tmp_path / "transformed" / "out", "train")


def test_another_seed_draws_other_rows(taxi: Artifacts, tmp_path: Path) -> None:
    found = []
    for seed in (0, 0, 1):
        folder = tmp_path / f"{len(found)}"
        run_balancer(taxi, folder, {"steps": UNDERSAMPLE, "seed": seed})
        found.append(records(folder, "train"))
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_ids_from_the_transform_graph_are_refused_with_the_place(taxi: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match=r"Got smote on the ids .*'company'.*expected numbers") as error:
        run_balancer(taxi, tmp_path / "out", [*UNDERSAMPLE, "smote"])
    assert error.value.spec_path == "balancing.steps.1"
    assert error.value.remedy.startswith("Use smote_nc")


def test_too_few_rows_are_refused_with_the_place(taxi: Artifacts, tmp_path: Path) -> None:
    rows = records(taxi.transformed, "train")
    rare, frequent = (np.flatnonzero(labels(rows) == label) for label in (1, 0))
    few = dataclasses.replace(taxi, transformed=tmp_path / "few")
    for split in ("train", "eval"):
        with ExampleWriter(few.transformed / f"Split-{split}") as writer:
            writer.write(pa.array([rows[at] for at in sorted([*rare[:3], *frequent[:50]])]))
    with pytest.raises(ComponentError, match="needs at least 6 rows of each class .* class 1 has 3") as error:
        run_balancer(few, tmp_path / "out", [{"smote_nc": {"k": 5}}])
    assert error.value.spec_path == "balancing.steps.0"


def test_one_class_only_is_refused(taxi: Artifacts, tmp_path: Path) -> None:
    rows = records(taxi.transformed, "train")
    one = dataclasses.replace(taxi, transformed=tmp_path / "one")
    for split in ("train", "eval"):
        with ExampleWriter(one.transformed / f"Split-{split}") as writer:
            writer.write(pa.array([row for row, label in zip(rows, labels(rows), strict=True) if label == 0]))
    with pytest.raises(ComponentError, match="The train split has only rows of class 0") as error:
        run_balancer(one, tmp_path / "out", ["random_oversample"])
    assert error.value.spec_path == "balancing"


# -- probabilities ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [{"random_undersample": 1.0}, {"random_oversample": 1.0}, SMOTE_NC])
def test_corrected_probabilities_are_true_and_uncorrected_ones_are_not(
    taxi: Artifacts, tmp_path: Path, step: dict[str, Any]
) -> None:
    found = {}
    for correct in (True, False):
        run_balancer(taxi, tmp_path / f"balanced-{correct}", {"steps": [step], "correct_probabilities": correct})
        out = tmp_path / f"trained-{correct}"
        history = train(taxi, out, tmp_path / f"balanced-{correct}", epochs=4)
        probability, label = served(taxi, out)
        found[correct] = probability
        note = (
            "predicted probabilities are moved by balancing and not corrected (balancing.correct_probabilities: false)"
        )
        assert history["notes"] == ([] if correct else [note])
    base = label.mean()
    assert 0.1 < base < 0.4
    assert found[True].mean() == pytest.approx(base, abs=0.04)
    assert found[False].mean() > base + 0.05
    assert roc_auc_score(label, found[True]) == pytest.approx(roc_auc_score(label, found[False]), abs=1e-3)
    squares = {correct: ((each - label) ** 2).mean() for correct, each in found.items()}
    assert squares[True] < squares[False]


def test_corrected_probabilities_of_several_classes_are_true(tmp_path: Path) -> None:
    artifacts = make_artifacts(tmp_path / "taxi", "multiclass_classification", rows=5000)
    found = {}
    for correct in (True, False):
        run_balancer(
            artifacts, tmp_path / f"b{correct}", {"steps": ["random_oversample"], "correct_probabilities": correct}
        )
        train(artifacts, tmp_path / f"t{correct}", tmp_path / f"b{correct}", epochs=3)
        found[correct], label = served(artifacts, tmp_path / f"t{correct}")
    shares = np.bincount(label, minlength=3) / len(label)
    off = {correct: np.abs(each.mean(axis=0) - shares) for correct, each in found.items()}
    assert off[True].max() < 0.08 < 0.1 < off[False].max()
    assert off[True][2] < 0.003 < 0.04 < off[False][2]  # the rarest class: five rows in a thousand
    np.testing.assert_allclose(found[True].sum(axis=1), 1, rtol=1e-5)


# -- the pipeline -----------------------------------------------------------------------------------------------------


def test_the_component_gives_examples_to_the_next_one() -> None:
    channels = {
        "examples": channel.Channel(type=standard_artifacts.Examples),
        "transform_graph": channel.Channel(type=standard_artifacts.TransformGraph),
    }
    component = Balancer({"balancing": {"steps": UNDERSAMPLE}}, {}, **channels)
    assert component.outputs["examples"].type is standard_artifacts.Examples


def test_a_spec_without_balancing_has_no_balancer_and_one_with_it_has_it_before_the_trainer() -> None:
    names = [node.name for node in pipeline_nodes(load_spec("taxi"))]
    assert "Balancer" not in names
    nodes = {node.name: node for node in pipeline_nodes(load_spec("taxi", ["balancing=[random_undersample: 0.5]"]))}
    assert [name for name in nodes if name != "Balancer"] == names
    assert nodes["Balancer"].upstream == ("Transform",)
    assert nodes["Trainer"].inputs["examples"].node == "Balancer"
    assert nodes["Evaluator"].inputs["examples"].node == "Cleaner"
    assert nodes["Balancer"].plugins == ("components.balancing.steps.random_undersample",)


@pytest.mark.parametrize(
    ("override", "place", "expected"),
    [
        ("balancing=[smote]", "balancing.0", r"got smote on the ids .*; expected numbers"),
        (
            "balancing={steps: [random_oversample, borderline_smote]}",
            "balancing.steps.1",
            "borderline_smote on the ids",
        ),
        ("balancing=[]", "balancing.steps", "at least 1 item"),
        ("balancing=[smoot]", "balancing", "Did you mean 'smote'"),
        ("resources={balancer: cpu}", "resources.balancer", "a step that needs the section 'balancing'"),
        ("training.class_weights={maybe: 2}", "training.class_weights", "class 'maybe'; expected 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused_with_the_place(override: str, place: str, expected: str) -> None:
    with pytest.raises(SpecError, match=expected) as error:
        load_spec("taxi", [override])
    assert any(problem.where.startswith(place) for problem in error.value.problems)


REGRESSION = """
name: fares
task: regression
data: {path: x.csv, label: {fare: fare}, features: {miles: numeric}}
model: {family: mlp}
balancing: [random_oversample]
training:
  class_weights: balanced
  loss: focal
"""


def test_a_regression_has_no_classes_and_the_lines_are_named(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(REGRESSION)
    with pytest.raises(SpecError) as error:
        load_spec(file)
    found = {(problem.where, problem.line): problem.received for problem in error.value.problems}
    assert found == {
        ("balancing", 6): "balancing with task regression",
        ("training.class_weights", 8): "class_weights with task regression",
        ("training.loss", 9): "the focal loss with task regression",
    }


def test_several_classes_have_no_alpha(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    text = REGRESSION.replace("regression", "multiclass_classification").replace("balancing: [random_oversample]\n", "")
    file.write_text(text.replace("  class_weights: balanced\n", "").replace("focal", "{focal: {alpha: 0.3}}"))
    with pytest.raises(SpecError, match="got alpha 0.3; expected no alpha .* Use training.class_weights") as error:
        load_spec(file)
    assert error.value.problems[0].line == 7


def test_kubeflow_gets_a_balancer_between_transform_and_trainer() -> None:
    loaded = load_spec("taxi", ["balancing=[random_undersample: 0.5]", "resources.balancer=highmem"])
    found = compile_pipeline(
        loaded, Target("registry/sluice:1", run_parameters(loaded, "data.csv", "s3://bucket/taxi"))
    )
    assert check(found.pipeline_spec, found.platform_spec) == []
    tasks = {task.name: task for task in read_tasks(found.pipeline_spec)}
    assert dict(tasks["balancer"].artifacts) == {
        "examples": FromTask("transform", "transformed_examples"),
        "transform_graph": FromTask("transform", "transform_graph"),
    }
    assert dict(tasks["trainer"].artifacts)["examples"] == FromTask("balancer", "examples")


def test_a_run_trains_on_balanced_rows_and_serves_true_probabilities(tmp_path: Path) -> None:
    more = "balancing: [{random_oversample: 1.0}, {smote: 1.0}]"
    spec = write_project(tmp_path / "cells", epochs=20, auc=0.9, more=more)
    sluice = Sluice(tmp_path / "root", tmp_path)
    sluice("run", str(spec))
    run = sluice.latest()
    assert run["status"] == "pushed"
    counts = json.loads((output(run, "Balancer", "examples") / "class_counts.json").read_text())
    assert counts["after"]["0"] == counts["after"]["1"] == counts["before"]["1"] > counts["before"]["0"]
    trained = json.loads((output(run, "Trainer", "model") / "summary.json").read_text())
    assert trained["rows"]["train"] == sum(counts["after"].values())
    predictions = pq.read_table(output(run, "Evaluator", "evaluation") / "predictions.parquet")
    said, label = (predictions[name].to_numpy() for name in ("prediction", "label"))
    assert 0.5 < label.mean() < 0.8
    assert said.mean() == pytest.approx(label.mean(), abs=0.05)
    page = (tmp_path / "root" / "runs" / run["run_id"] / "report.html").read_text()
    assert "The train split was balanced: rows by class" in page
    assert "not corrected" not in page

    sluice("run", str(spec), "balancing={steps: [random_oversample], correct_probabilities: false}")
    page = next((tmp_path / "root" / "runs" / sluice.latest()["run_id"]).glob("*.html")).read_text()
    assert "probabilities are moved by balancing and not corrected" in page


def test_sluice_list_and_the_schema_for_editors_know_every_step() -> None:
    listed = dict(catalogue())["Balancing steps"]
    assert [name for name, _ in listed] == list(catalog.names(STEPS))
    assert all(line.endswith(".") for _, line in listed)
    definitions = json.loads(json_schema())["$defs"]
    short, long = definitions["BalancingConfig"]["anyOf"]
    assert short["items"] == {"$ref": "#/$defs/BalancingStep"}
    assert long["properties"]["correct_probabilities"]["default"] is True
    assert {"const": "smote", "description": dict(listed)["smote"]} in [
        form["anyOf"][0] for form in definitions["BalancingStep"]["anyOf"]
    ]
