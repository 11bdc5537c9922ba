"""A plan says what runs and why; what did not change is not done again."""

from __future__ import annotations

import dataclasses

import pytest

from components.errors import SpecError
from components.registry import BlessedModel
from pipelines.build import pipeline_nodes
from pipelines.plan import Choices, Plan, differences, make_plan
from pipelines.spec import load_spec
from pipelines.state import PipelineRoot, Record


def plan(root: PipelineRoot, *overrides: str, data: str = "data-1", override=None, **choices) -> Plan:
    """Plan the taxi pipeline."""
    nodes = pipeline_nodes(load_spec("taxi", overrides), override)
    return make_plan(nodes, root, files=(), data_fingerprint=data, choices=Choices(**choices))


def finish(root: PipelineRoot, planned: Plan, run_id: str = "r1") -> None:
    """Pretend that all components of a plan ran: folders and records, as the runner leaves them."""
    root.folder.mkdir(exist_ok=True)
    root.metadata.touch()
    uris: dict[tuple[str, str], str] = {}
    for step in planned.steps:
        if step.record:
            uris |= {(step.node.name, key): uri for key, uri in step.record.output_uris.items()}
        if step.action != "run":
            continue
        outputs = {}
        for key in step.node.outputs:
            folder = root.folder / "artifacts" / step.node.name / key / run_id
            folder.mkdir(parents=True)
            outputs[key] = {"uri": str(folder), "artifact_id": 1, "type": "Model"}
            uris[step.node.name, key] = str(folder)
        inputs = {name: uris[source.node, source.key] for name, source in step.node.inputs.items()}
        summary = {"pushed": True, "version": len(root.registry.all()) + 1} if step.node.name == "Pusher" else {}
        root.write_record(Record(step.node.name, step.key, step.facts, inputs, outputs, run_id, 1.0, 1.0, summary))
    version = len(root.registry.all()) + 1
    if planned.by_name["Pusher"].action == "run":
        trainer = planned.by_name["Trainer"].key
        model = uris["Trainer", "model"]
        root.registry.add(BlessedModel(version, trainer, model, "s", "e", run_id, "2026-01-01T00:00:00"))


def actions(planned: Plan) -> dict[str, str]:
    """Return what happens to each component."""
    return {step.node.name: step.action for step in planned.steps}


def running(planned: Plan) -> list[str]:
    """Return the components that would run."""
    return [name for name, action in actions(planned).items() if action == "run"]


@pytest.fixture
def root(tmp_path) -> PipelineRoot:
    return PipelineRoot(tmp_path / "taxi")


def test_everything_runs_the_first_time(root):
    planned = plan(root)
    assert set(actions(planned).values()) == {"run"}
    assert planned.steps[0].why == "it never ran here"


def test_nothing_runs_the_second_time_although_there_is_a_baseline_now(root):
    finish(root, plan(root))
    assert plan(root).all_cached


def test_a_change_of_training_runs_the_trainer_and_what_follows(root):
    finish(root, plan(root))
    planned = plan(root, "training.epochs=3")
    assert running(planned) == ["LatestBlessed", "ExampleValidator", "Trainer", "Evaluator", "Pusher"]
    assert planned.by_name["Trainer"].why == "training.epochs 10 → 3"
    assert planned.baseline.run_id == "r1"


def test_going_back_to_an_earlier_spec_finds_its_results_again(root):
    finish(root, plan(root))
    finish(root, plan(root, "training.epochs=3"), "r2")
    assert plan(root, "training.epochs=3").all_cached
    back = plan(root)
    assert actions(back)["Trainer"] == "cached"
    assert actions(back)["Pusher"] == "run"


def test_new_data_run_everything_and_say_so(root):
    finish(root, plan(root))
    planned = plan(root, data="data-2")
    assert planned.by_name["ExampleGen"].why == "the raw data changed"
    assert actions(planned)["Trainer"] == "run"


def test_flags_of_beam_do_not_run_anything_again(root):
    finish(root, plan(root))
    assert plan(root, "engine.beam_pipeline_args=[--runner=FlinkRunner]").all_cached


def test_the_cause_of_a_rerun_is_the_component_upstream(root):
    finish(root, plan(root))
    planned = plan(root, "cleaning.0={drop_missing: [fare]}")
    assert "drop_missing" in planned.by_name["Cleaner"].why
    assert planned.by_name["Transform"].why.startswith("Cleaner changed")


def test_a_deleted_output_is_made_again(root):
    first = plan(root)
    finish(root, first)
    (root.folder / "artifacts" / "Transform" / "transform_graph" / "r1").rmdir()
    planned = plan(root)
    assert actions(planned)["Transform"] == "run"
    assert "is gone" in planned.by_name["Transform"].why
    assert actions(planned)["Cleaner"] == "cached"
    assert actions(planned)["Trainer"] == "run"


def test_from_runs_a_component_and_all_behind_it(root):
    finish(root, plan(root))
    assert running(plan(root, from_node="Evaluator")) == ["Evaluator", "Pusher"]


def test_to_runs_nothing_behind_a_component(root):
    planned = plan(root, to_node="SchemaGen")
    assert running(planned) == ["ExampleGen", "Cleaner", "StatisticsGen", "SchemaGen"]
    assert actions(planned)["Trainer"] == "skip"


def test_without_the_cache_everything_runs(root):
    finish(root, plan(root))
    assert set(actions(plan(root, use_cache=False)).values()) == {"run"}


def test_a_trainer_made_again_is_evaluated_again(root):
    finish(root, plan(root))
    finish(root, plan(root, from_node="Trainer", to_node="Trainer"), "r2")
    planned = plan(root)
    assert actions(planned)["Trainer"] == "cached"
    assert planned.by_name["Evaluator"].why in {"Trainer was made again since", "LatestBlessed changed"}


def test_overriding_the_gate_runs_the_pusher_only(root):
    finish(root, plan(root))
    assert running(plan(root, override={"reason": "demo", "by": "me"})) == ["Pusher"]


def test_a_component_that_does_not_exist_is_refused(root):
    with pytest.raises(SpecError, match="ExampleGen"):
        plan(root, from_node="Training")


def test_lost_metadata_make_every_record_useless(root):
    finish(root, plan(root))
    root.metadata.unlink()
    assert set(actions(plan(root)).values()) == {"run"}


def test_keys_do_not_depend_on_where_the_pipeline_lives(tmp_path):
    one, two = plan(PipelineRoot(tmp_path / "a")), plan(PipelineRoot(tmp_path / "b"))
    assert [step.key for step in one.steps] == [step.key for step in two.steps]


def test_differences_name_the_path_of_each_leaf():
    assert differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}], "c": 4}) == [
        ("a[1].b", "2", "3"),
        ("c", "null", "4"),
    ]


def test_a_plan_is_a_value(root):
    assert dataclasses.is_dataclass(plan(root))
