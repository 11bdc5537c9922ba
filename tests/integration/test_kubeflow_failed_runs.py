"""A run on Kubeflow that fails: which component, why, in whose words, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

from pipelines.runners.kubeflow import KubeflowRunner
from pipelines.runners.runner import NodeResult, Watcher
from tests.factories.kubeflow_pipelines import written_pipeline
from tests.integration.test_kubeflow_runner import cluster, run_pipeline, settings


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.mark.parametrize("generation", ["argo", "tasks"])
def test_a_failed_task_is_exit_code_4_with_its_own_words(here: Path, generation: str) -> None:
    errors = {"trainer": "The loss is not a number after step 40."}
    with cluster(ends={"trainer": "FAILED"}, errors=errors, generation=generation) as server:
        result = run_pipeline(written_pipeline(), settings(server), here)
    assert (result.status, result.exit_code) == ("failed", 4)
    assert result.record["failure"]["component"] == "Trainer"
    assert result.record["failure"]["message"] == "The loss is not a number after step 40."
    assert f"/#/runs/details/{result.run_id}" in result.record["failure"]["remedy"]
    statuses = {node["name"]: node["status"] for node in result.record["nodes"]}
    assert statuses["ExampleGen"] == "done"
    assert statuses["Evaluator"] == statuses["Pusher"] == "skipped"


@pytest.mark.parametrize("pod", ["pod-trainer", "pod-system-container-impl-trainer"])
def test_a_server_that_gives_no_reason_is_asked_for_the_log_of_the_task(here: Path, pod: str) -> None:
    log = "".join(f"step {number}\n" for number in range(300)) + "ValueError: labels are constant\n"
    log += "F1124 07:00:00.000000 main.go:57] failed to execute component: exit status 1\n"
    said: list[str] = []
    with cluster(ends={"trainer": "FAILED"}, logs={pod: log}, show_pods=False) as server:
        result = run_pipeline(written_pipeline(), settings(server), here, say=said.append)
    assert result.record["failure"]["message"] == "ValueError: labels are constant"
    saved = Path(result.record["failure"]["log"]).read_text().splitlines()
    assert len(saved) == 200
    assert saved[-2] == "ValueError: labels are constant"
    assert said[-2] == "  | ValueError: labels are constant"


def test_what_the_step_itself_says_is_told_with_its_remedy_and_the_line_of_the_spec(here: Path) -> None:
    from pipelines.spec import load_spec

    failure = {"node": "Trainer", "message": "The loss is not a number.", "spec_path": "training.optimizer"}
    lines = ["Traceback (most recent call last):", "RuntimeError: from TFX"]
    lines += [
        json.dumps({"failure": {**failure, "remedy": "Lower the learning rate."}}),
        "F1124 main.go:57] exit status 4",
    ]
    said: list[str] = []
    loaded = load_spec("taxi")
    errors = {"trainer": "Pod failed with exit code 4"}
    with cluster(ends={"trainer": "FAILED"}, errors=errors, logs={"pod-trainer": "\n".join(lines)}) as server:
        result = run_pipeline(written_pipeline(), settings(server), here, say=said.append, loaded=loaded)
    told = result.record["failure"]
    assert (told["component"], told["message"]) == ("Trainer", "The loss is not a number.")
    assert told["remedy"] == "Lower the learning rate."
    assert told["spec_line"].startswith(str(loaded.source.file))
    assert not any(line.startswith("  | ") for line in said)
    assert Path(told["log"]).read_text().splitlines() == lines
    assert result.record["spec_file"] == str(loaded.path)


def test_a_terminated_run_has_failed_because_somebody_ended_it(here: Path) -> None:
    with cluster() as server:

        class EndsIt(Watcher):
            def changed(self, results: list[NodeResult]) -> None:
                if any(result.name == "Trainer" and result.status == "running" for result in results):
                    runner.terminate(server.runs[0].record["run_id"])

        @contextmanager
        def watch(stream: TextIO) -> Iterator[Watcher]:
            yield EndsIt()

        runner = KubeflowRunner(settings(server), here, watch)
        result = runner.run(written_pipeline())
    assert result.exit_code == 4
    assert result.record["failure"]["message"] == "The run was ended by somebody."
    assert "running" not in {node["status"] for node in result.record["nodes"]}
