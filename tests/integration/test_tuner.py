"""Trials on real rows, in this process and in others, and a pipeline whose Trainer uses what was found."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tfx.types import standard_artifacts

from components.errors import ComponentError
from components.tuning.config import TuningConfig
from components.tuning.executor import Executor, search
from components.tuning.journal import Journal
from components.tuning.trial import TrialTask, _splits, held_out
from tests.factories.sluice_command import Sluice, actions, output
from tests.factories.small_project import write_project
from tests.factories.trainer_artifacts import make_artifacts

RATE = "training.optimizer.adam.learning_rate"


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TrialTask:
    made = make_artifacts(tmp_path_factory.mktemp("tuner") / "data", "binary_classification", 3000)
    config = {
        "tuning": TuningConfig(space={RATE: [0.01, 1e-6]}).model_dump(mode="json"),
        "written": {"model": {"family": "mlp", "hidden_units": [8]}, "training": {"batch_size": 64}},
        "columns": made.columns,
        "task": made.task,
        "epochs": 2,
    }
    return TrialTask(config, str(made.transformed / "Split-train"), str(made.graph), None, "val_auc")


def test_a_good_learning_rate_scores_higher_than_a_tiny_one_on_rows_that_are_held_out(task: TrialTask) -> None:
    good, tiny = task({RATE: 0.01}, 2), task({RATE: 1e-6}, 2)

    assert good.score is not None
    assert tiny.score is not None
    assert good.score > 0.85
    assert good.score > tiny.score + 0.1
    assert good.epochs == 2


def test_a_trial_with_a_value_that_cannot_be_built_fails_alone(task: TrialTask) -> None:
    failed = task({"model.hidden_units": [0]}, 1)

    assert failed.score is None
    assert "greater than or equal to 1" in str(failed.error)


def test_a_trial_whose_objective_stalls_stops_early(task: TrialTask) -> None:
    tuning = {**task.config["tuning"], "early_stopping": {"patience": 0}}
    stopping = dataclasses.replace(task, config={**task.config, "tuning": tuning})

    assert stopping({RATE: 0.1}, 30).epochs < 30


def test_a_fifth_of_the_train_split_is_held_out_and_equal_rows_are_on_one_side(task: TrialTask) -> None:
    learned, checked = _splits(task.train_folder, task.transform_graph, "binary_classification", False, 0.2)

    assert checked.rows / (checked.rows + learned.rows) == pytest.approx(0.2, abs=0.04)
    columns = checked.columns
    assert columns is not None
    twice = dataclasses.replace(
        columns, **{name: np.repeat(getattr(columns, name), 2, axis=0) for name in ("dense", "ids", "label")}
    )
    assert held_out(twice, 0.2).all()


def test_processes_give_the_scores_of_one_process(task: TrialTask) -> None:
    tuning = TuningConfig(method="grid", epochs=1, space={RATE: [0.01, 1e-3]})
    together = tuning.model_copy(update={"parallel": 2})

    one, two = (search(each, task, Journal(None), {}) for each in (tuning, together))

    assert [each.values for each in one] == [each.values for each in two]
    assert [each.outcome.score for each in one] == pytest.approx([each.outcome.score for each in two], abs=1e-3)
    assert _splits.cache_info().currsize == 0  # the Trainer needs the memory


def execute(task: TrialTask, folder: Path, **tuning: Any) -> Path:
    """Run the component's executor on the task's rows; return the folder of its results."""
    examples, graph = standard_artifacts.Examples(), standard_artifacts.TransformGraph()
    examples.uri, graph.uri = str(Path(task.train_folder).parent), task.transform_graph
    results, best = standard_artifacts.TunerResults(), standard_artifacts.HyperParameters()
    for name, artifact in (("results", results), ("best", best)):
        artifact.uri = str(folder / name)
        (folder / name).mkdir()
    section = TuningConfig.model_validate({"method": "grid", "epochs": 1, **tuning}).model_dump(mode="json")
    properties = {"config": json.dumps({**task.config, "tuning": section}), "runtime": "{}"}
    inputs = {"examples": [examples], "transform_graph": [graph]}
    outputs = {"tuner_results": [results], "best_hyperparameters": [best]}
    Executor().Do(inputs, outputs, properties)
    return folder / "results"


@pytest.mark.parametrize(
    ("tuning", "message"),
    [
        ({"objective": "val_mae", "space": {RATE: [0.1]}}, "The objective 'val_mae' is not in the history"),
        ({"objective": "auc", "space": {RATE: [0.1]}}, "expected one of val_loss, .*val_auc"),
        ({"space": {"model.hidden_units": [[0], [-1]]}}, "All 2 trials failed; the first one with: .*greater than"),
        ({"max_minutes": 1e-12, "space": {RATE: [0.1]}}, "No trial began within 1e-12 minutes"),
    ],
)
def test_a_search_without_a_result_says_what_to_change(
    tuning: dict[str, Any], message: str, task: TrialTask, tmp_path: Path
) -> None:
    with pytest.raises(ComponentError, match=f"(?s){message}") as caught:
        execute(task, tmp_path, **tuning)

    assert str(caught.value.spec_path).startswith("tuning.")
    assert caught.value.remedy


def test_a_part_without_rows_is_an_error(task: TrialTask) -> None:
    with pytest.raises(ComponentError, match=r"rows for training, 0 are held out for the trials; each part needs rows"):
        _splits(task.train_folder, task.transform_graph, "binary_classification", False, 1e-9)


def test_a_trial_that_fails_is_in_the_table_and_a_lower_objective_can_be_the_better_one(
    task: TrialTask, tmp_path: Path
) -> None:
    folder = execute(task, tmp_path, objective="val_loss", space={RATE: [1e-6, 0.01], "model.hidden_units": [[8], [0]]})

    summary = json.loads((folder / "summary.json").read_text())
    rows = {(row["values"][RATE], row["values"]["model.hidden_units"][0]): row for row in summary["trials"]}
    assert summary["direction"] == "min"
    assert summary["values"] == {RATE: 0.01, "model.hidden_units": [8]}
    assert rows[0.01, 8]["score"] < rows[1e-6, 8]["score"]
    assert rows[0.01, 0]["score"] is None
    assert "greater than or equal to 1" in rows[0.01, 0]["error"]


def test_a_trial_trains_with_the_users_own_step(task: TrialTask) -> None:
    source = """
import tensorflow as tf


def train_step(model, optimizer, loss, batch):
    loss(batch, model(batch["features"], training=True))
"""
    written = {**task.config["written"], "training": {"batch_size": 64, "loop": {"module": "step.py"}}}
    idle = dataclasses.replace(task, config={**task.config, "written": written, "loop_source": source})

    outcome = idle({RATE: 0.01}, 1)

    assert outcome.error is None
    assert outcome.score is not None
    assert outcome.score < 0.8, "the step never applies gradients, so nothing is learned"


def test_the_trainer_uses_what_the_tuner_found_and_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    more = f"tuning: {{method: grid, epochs: 1, space: {{{RATE}: [0.0000001, 0.03], model.hidden_units: [[4]]}}}}"
    spec = write_project(tmp_path, epochs=3, auc=0.5, more=more)
    sluice = Sluice(tmp_path / "root", tmp_path)

    sluice("run", str(spec))

    nodes = {node["name"]: node for node in sluice.latest()["nodes"]}
    assert nodes["Tuner"]["summary"]["values"] == {RATE: 0.03, "model.hidden_units": [4]}
    assert nodes["Trainer"]["summary"]["tuned"] == {RATE: 0.03, "model.hidden_units": [4]}
    history = json.loads((output(sluice.latest(), "Trainer", "model_run") / "history.json").read_text())
    assert len(history["epochs"]) == 3, "epochs are those of the spec"
    assert history["epochs"][0]["learning_rate"] == pytest.approx(0.03)
    assert not list((tmp_path / "root" / "checkpoints").glob("tuning-*"))
    assert "Hyperparameters that were tried" in (next((tmp_path / "root").glob("runs/*/report.html"))).read_text()

    sluice("run", str(spec))

    again = actions(sluice.latest())
    assert again["Tuner"] == again["Trainer"] == "cached"
