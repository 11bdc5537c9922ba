"""The decision to retrain in a plan: taken anew in every run, unless there is nothing to decide."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from components.data.source import SourceFile
from components.errors import SpecError
from pipelines.api import Pipeline
from pipelines.build import pipeline_nodes
from pipelines.cli import cli
from pipelines.plan import Plan
from pipelines.runners.beam import decided_against
from pipelines.runners.runner import NodeResult
from pipelines.spec import load_spec
from pipelines.state import PipelineRoot
from tests.factories.spans import SPEC, deliver, rows
from tests.unit.pipelines.test_plan import actions, finish, plan

ON = "retraining={min_drift: 0.05}"


@pytest.fixture
def root(tmp_path) -> PipelineRoot:
    return PipelineRoot(tmp_path / "taxi")


def test_without_the_section_nothing_is_decided(root):
    assert "Decider" not in actions(plan(root))


def test_what_makes_a_model_waits_for_the_decision(root):
    nodes = {node.name: node for node in pipeline_nodes(load_spec("taxi", [ON]))}
    assert list(nodes).index("Decider") == list(nodes).index("ExampleValidator") + 1
    assert "Decider" in nodes["Transform"].upstream
    assert set(nodes["Decider"].upstream) == {"StatisticsGen", "LatestBlessed", "ExampleValidator"}


def test_new_data_are_decided_on(root):
    finish(root, plan(root, ON))
    step = plan(root, ON, data="data-2").by_name["Decider"]
    assert (step.action, step.why) == ("run", "it decides anew each time")


def test_it_is_decided_again_though_all_that_it_reads_is_there(root):
    """Last night's data did not train; tonight the cool-down is over."""
    finish(root, plan(root, ON, to_node="Decider"))
    planned = plan(root, ON)
    assert planned.by_name["StatisticsGen"].action == "cached"
    assert planned.by_name["Decider"].action == "run"


def test_when_all_results_are_there_nothing_is_decided_and_nothing_runs(root):
    finish(root, plan(root, ON))
    planned = plan(root, ON)
    assert planned.by_name["Decider"].why == "nothing to decide: all results are there"
    assert planned.all_cached


def test_who_asks_for_training_is_not_asked_back(root):
    finish(root, plan(root, ON))
    planned = plan(root, ON, from_node="Transform")
    assert planned.by_name["Decider"].why == "asked for: from Transform on"
    assert actions(planned)["Decider"] == "skip"
    assert actions(planned)["Trainer"] == "run"
    assert actions(plan(root, ON, from_node="StatisticsGen"))["Decider"] == "run"


def test_nothing_is_decided_behind_the_end(root):
    assert actions(plan(root, ON, to_node="Cleaner"))["Decider"] == "skip"


@pytest.mark.parametrize("override", ["training.epochs=3", "data.split={by: ratio}", "evaluation.gate=[auc >= 0.9]"])
def test_the_decision_knows_the_settings_that_make_a_model(override):
    def settings(*overrides: str) -> dict[str, str]:
        (decider,) = [node for node in pipeline_nodes(load_spec("taxi", [ON, *overrides])) if node.name == "Decider"]
        return decider.config["settings"]

    changed = {name for name, digest in settings(override).items() if settings()[name] != digest}
    assert len(changed) == 1
    assert settings("serving.push_to=elsewhere", "data.drift=0.3") == settings()


def results_of(planned: Plan, decision: dict) -> dict[str, NodeResult]:
    results = {step.node.name: NodeResult(step.node.name, "", "waiting", "", "") for step in planned.steps}
    results["Decider"].summary = decision
    return results


def test_a_no_skips_what_follows_and_nothing_else(root):
    planned = plan(root, ON)
    results = results_of(planned, {"go": False, "reasons": ["little drift", "and more"]})
    against = {name: decided_against(step, planned, results) for name, step in planned.by_name.items()}
    skipped = ("Transform", "Trainer", "Evaluator", "Pusher")
    assert {name: why for name, why in against.items() if why} == dict.fromkeys(skipped, "little drift")


def test_a_yes_skips_nothing(root):
    planned = plan(root, ON)
    results = results_of(planned, {"go": True, "reasons": ["new data"]})
    assert not any(decided_against(step, planned, results) for step in planned.steps)


@pytest.fixture
def home(tmp_path) -> Path:
    (tmp_path / "pipeline.yaml").write_text(SPEC)
    for span in range(1, 8):
        deliver(tmp_path, span, rows(span, count=30))
    return tmp_path


def test_a_plan_reads_the_window_and_says_so(home, capsys):
    from rich.console import Console

    from pipelines import screen

    planned = Pipeline.load(home / "pipeline.yaml", root=home / "root").plan()
    assert [file.span for file in planned.files] == [4, 5, 6, 7]
    assert planned.span == 7
    screen.print_plan(Console(width=160), "nights", planned, None)
    assert "4 files · 4 spans, 4 to 7 (version 1)" in capsys.readouterr().out


def test_a_span_is_chosen_for_one_run(home):
    planned = Pipeline.load(home / "pipeline.yaml", ["data.span=3"], home / "root").plan()
    assert [file.span for file in planned.files] == [1, 2, 3]


def test_the_cache_key_is_that_of_the_files_in_the_window(home):
    def key(*overrides: str) -> str:
        return Pipeline.load(home / "pipeline.yaml", overrides, home / "root").plan().by_name["ExampleGen"].key

    before = key()
    assert key("data.span=7") == before
    deliver(home, 2, rows(2, count=31), version=2)
    assert key() == before
    deliver(home, 6, rows(6, count=31), version=2)
    assert key() != before
    assert key("data.span=6") not in (before, key())


def test_data_without_spans_have_none(tmp_path):
    assert Plan((), None, (SourceFile("rows.csv", 1),)).span is None


def test_a_span_is_chosen_on_the_command_line(home):
    arguments = [str(home / "pipeline.yaml"), "--root", str(home / "root")]
    done = CliRunner().invoke(cli, ["plan", *arguments, "--span", "2"])
    assert "2 spans, 1 to 2 (version 1)" in done.output
    refused = CliRunner().invoke(cli, ["plan", *arguments, "--span", "9"])
    assert isinstance(refused.exception, SpecError)
    assert "span 9, which is not there" in str(refused.exception)
