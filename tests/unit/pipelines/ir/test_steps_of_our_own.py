"""The steps around the components: what a run's parameters change, and who is told how it ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.errors import ComponentError
from pipelines.ir import notify, step
from pipelines.ir.executor_input import StepCall
from pipelines.state import write_json
from tests.factories.webhook import Receiver

TRAINER = json.dumps({"training": {"epochs": 5}})
PUSHER = json.dumps({"override_gate": None})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver([200])
    yield server
    server.server.shutdown()
    server.server.server_close()


def call(folder: Path, **parameters: Any) -> StepCall:
    return StepCall(parameters, {}, {}, folder / "out" / "executor_output.json")


def exit_handler(folder: Path, receiver: Receiver, **more: Any) -> StepCall:
    config = {"notify": {"webhook": receiver.url}, "pipeline": "taxi"}
    return call(folder, config=json.dumps(config), root=str(folder), run_id="r1", **more)


def test_the_exit_handler_tells_what_the_report_step_wrote(tmp_path: Path, receiver: Receiver):
    record = {"run_id": "r1", "pipeline": "taxi", "status": "blocked", "verdict": {"reasons": ["auc is low"]}}
    write_json(tmp_path / "runs" / "r1" / "run.json", record)
    # KFP says of a run with a skipped Pusher that it still goes on
    notify.run(exit_handler(tmp_path, receiver, status={"state": "RUNNING"}))
    (told,) = receiver.received
    assert (told["status"], told["text"]) == ("blocked", "taxi: blocked: auc is low")


@pytest.mark.parametrize("as_text", [True, False])
def test_the_exit_handler_tells_of_a_run_that_came_to_no_report(tmp_path: Path, receiver: Receiver, as_text: bool):
    status: Any = {"state": "FAILED", "error": {"message": "the pod ran out of memory"}}
    notify.run(exit_handler(tmp_path, receiver, status=json.dumps(status) if as_text else status))
    (told,) = receiver.received
    assert (told["status"], told["reasons"]) == ("failed", ["the pod ran out of memory"])


def test_the_runs_epochs_are_the_trainers(tmp_path: Path):
    config = step._with_parameters("Trainer", call(tmp_path, config=TRAINER, epochs=3.0))
    assert config["training"]["epochs"] == 3


def test_an_override_given_to_the_run_says_which_run_it_was(tmp_path: Path):
    given = call(tmp_path, config=PUSHER, override_gate="a drill", run_id="r1")
    assert step._with_parameters("Pusher", given)["override_gate"] == {"reason": "a drill", "by": "run r1"}
    without = call(tmp_path, config=PUSHER, override_gate="", run_id="r1")
    assert step._with_parameters("Pusher", without)["override_gate"] is None


@pytest.mark.parametrize(
    ("passed", "override", "push", "blocked"),
    [(True, False, "true", "false"), (False, False, "false", "true"), (False, True, "true", "false")],
)
def test_the_gate_is_two_words_for_the_conditions(
    tmp_path: Path, passed: bool, override: bool, push: str, blocked: str
):
    write_json(tmp_path / "verdict.json", {"passed": passed})
    found = step.output_parameters("Evaluator", {"evaluation": tmp_path}, override=override)
    assert found == {"push": push, "blocked": blocked}


def test_a_step_that_fails_says_why_in_a_line_of_its_own_and_leaves_no_old_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    output = tmp_path / "executor_output.json"
    output.write_text("{}")
    given = {"inputs": {"parameterValues": {"config": "{}"}}, "outputs": {"outputFile": str(output)}}

    def fail(name: step.StepName, call: StepCall) -> None:
        del name, call
        raise RuntimeError("outer") from ComponentError("No rows.", spec_path="data.path", remedy="Give some.")

    monkeypatch.setattr(step, "run_step", fail)
    assert step.main(["--node", "Trainer", "--executor-input", json.dumps(given)]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    told = json.loads(line)["failure"]
    assert told == {"node": "Trainer", "message": "No rows.", "spec_path": "data.path", "remedy": "Give some."}
    assert not output.exists()
