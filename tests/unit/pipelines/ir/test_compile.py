"""The compiled pipeline: the whole DAG, the same bytes each time, and nothing that KFP's own loader refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.errors import SpecError
from pipelines.build import pipeline_nodes
from pipelines.ir.compile import CompiledPipeline, Target, compile_pipeline
from pipelines.ir.graph import FromTask, constant_json
from pipelines.ir.reading import read_tasks
from pipelines.ir.rules import check
from pipelines.ir.tasks import run_parameters, task_name
from pipelines.spec import LoadedSpec, load_spec


def compiled(*overrides: str) -> tuple[LoadedSpec, CompiledPipeline]:
    loaded = load_spec("taxi", overrides)
    parameters = run_parameters(loaded, loaded.spec.data.path, "s3://bucket/taxi")
    return loaded, compile_pipeline(loaded, Target("registry/sluice:1", parameters))


def test_every_component_is_a_task_that_is_fed_as_in_the_dag():
    loaded, found = compiled()
    tasks = {task.name: task for task in read_tasks(found.pipeline_spec)}
    for node in pipeline_nodes(loaded):
        task = tasks[task_name(node.name)]
        assert task.node == node.name
        assert dict(task.artifacts) == {
            name: FromTask(task_name(source.node), source.key) for name, source in node.inputs.items()
        }
        assert set(node.outputs) <= set(task.outputs)
        assert set(map(task_name, node.upstream)) <= set(task.after)


def test_the_same_spec_gives_the_same_bytes_and_another_one_others():
    assert compiled()[1].to_yaml() == compiled()[1].to_yaml()
    assert compiled()[1].to_yaml() != compiled("training.epochs=3")[1].to_yaml()


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["notify.webhook=https://example.com/hook"],
        ["retraining.skip_without_new_data=true"],
        ["retraining.skip_without_new_data=true", "notify.webhook=https://example.com/hook"],
        ["resources.trainer=gpu-l4", "resources.default={pool: cpu, retries: 2}"],
    ],
)
def test_kfps_loader_takes_it_and_the_backends_rules_find_nothing(overrides: list[str], tmp_path: Path):
    from kfp import components

    _, found = compiled(*overrides)
    assert check(found.pipeline_spec, found.platform_spec) == []
    file = tmp_path / "pipeline.yaml"
    file.write_text(found.to_yaml(), encoding="utf-8")
    loaded = components.load_component_from_file(str(file))
    assert loaded.pipeline_spec.pipeline_info.name == "taxi"
    assert list(yaml.safe_load_all(file.read_text())) == [found.pipeline_spec, found.platform_spec]


def test_the_pusher_runs_only_when_the_gate_passed_and_one_report_is_written_either_way():
    tasks = {task.name: task for task in read_tasks(compiled()[1].pipeline_spec)}
    assert tasks["pusher"].conditions == (FromTask("evaluator", "push"),)
    assert tasks["report-blocked"].conditions == (FromTask("evaluator", "blocked"),)
    assert "pusher" in tasks["report"].after
    assert "pusher" not in tasks["report-blocked"].after


def test_what_publishes_or_looks_at_the_world_is_never_cached():
    _, found = compiled("retraining.skip_without_new_data=true")
    cached = {}

    def look(dag: dict[str, Any]) -> None:
        for name, task in dag["tasks"].items():
            component = found.pipeline_spec["components"][task["componentRef"]["name"]]
            if "dag" in component:
                look(component["dag"])
            else:
                cached[name] = task.get("cachingOptions", {}).get("enableCache", False)

    look(found.pipeline_spec["root"]["dag"])
    reports = {"report", "report-blocked", "report-skipped"}
    assert {name for name, on in cached.items() if not on} == {"resolve", "decider", "pusher", *reports}


def test_only_tasks_that_are_never_cached_know_the_run():
    tasks = read_tasks(compiled()[1].pipeline_spec)
    knowing = {task.name for task in tasks if "run_id" in task.parameters or "started" in task.parameters}
    assert knowing == {"pusher", "report", "report-blocked"}


def test_what_follows_the_decision_to_train_is_one_group_behind_it():
    _, found = compiled("retraining.skip_without_new_data=true", "notify.webhook=https://example.com/hook")
    tasks = {task.name: task for task in read_tasks(found.pipeline_spec)}
    go = FromTask("decider", "go")
    behind = {name for name, task in tasks.items() if go in task.conditions}
    assert behind == {"transform", "trainer", "evaluator", "pusher", "report", "report-blocked"}
    assert tasks["report-skipped"].conditions == (FromTask("decider", "skipped"),)
    # seen through two groups, a task is still fed by the one that made it, and by the run's own parameters
    assert tasks["transform"].artifacts["examples"] == FromTask("cleaner", "examples")
    assert tasks["trainer"].values({"epochs": 7, "root": "/r"}, str)["epochs"] == 7
    assert [name for name, task in tasks.items() if task.exit_handler] == ["notify"]
    assert found.pipeline_spec["root"]["dag"]["tasks"].keys() == {"pipeline", "notify"}


def test_text_that_looks_like_a_placeholder_arrives_as_it_is():
    text = 'a {{workflow.name}} {{{x}}} $(HOME) $$ {{$.inputs.parameters["x"]}} ü'
    written = constant_json({"text": text, "more": [{"text": text}]}).value
    assert "{{" not in written
    assert "$" not in written
    assert json.loads(written) == {"text": text, "more": [{"text": text}]}


def test_a_specs_text_cannot_become_a_placeholder(tmp_path: Path):
    source = load_spec("taxi").path.read_text(encoding="utf-8")
    file = tmp_path / "taxi.yaml"
    file.write_text("# {{workflow.uid}} $(PATH)\n" + source, encoding="utf-8")
    loaded = load_spec(file)
    found = compile_pipeline(loaded, Target("image", run_parameters(loaded, "x", "/r")))
    assert check(found.pipeline_spec, found.platform_spec) == []
    report = next(task for task in read_tasks(found.pipeline_spec) if task.name == "report")
    assert json.loads(report.parameters["config"].value)["spec_text"].startswith("# {{workflow.uid}} $(PATH)\n")


def test_the_kind_of_workers_reaches_the_trainer_and_is_refused_without_workers():
    base = ["training.strategy=multi_worker", "training.batch_size=512"]
    _, found = compiled(*base, "resources.trainer={workers: 2, worker_kind: tfjob}")
    trainer = next(task for task in read_tasks(found.pipeline_spec) if task.name == "trainer")
    runtime = json.loads(trainer.parameters["runtime"].value)
    assert (runtime["worker_kind"], runtime["workers"], runtime["launcher"]) == ("tfjob", 2, "kubernetes")
    with pytest.raises(SpecError, match="worker_kind: tfjob without workers"):
        load_spec("taxi", ["resources.trainer={worker_kind: tfjob}"])
