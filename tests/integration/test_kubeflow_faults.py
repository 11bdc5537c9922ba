"""The kubeflow runner and a server that refuses, fails, is silent or breaks off: no run twice, plain words."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components.errors import ComponentError, SpecError
from pipelines.kubeflow.refusals import ApiError
from pipelines.kubeflow.settings import KubeflowSettings
from pipelines.runners.kubeflow import KubeflowRunner
from tests.factories.kubeflow_http import Fault, serving
from tests.factories.kubeflow_pipelines import written_pipeline
from tests.factories.kubeflow_runs import SimulatedRun
from tests.factories.kubeflow_server import KubeflowServer

simulate = partial(SimulatedRun, ends={"report-blocked": "SKIPPED"})


@pytest.fixture
def server() -> Iterator[KubeflowServer]:
    with serving(KubeflowServer(simulate=simulate)) as state:
        yield state


def runner(server: KubeflowServer, here: Path, **more: Any) -> KubeflowRunner:
    quick = {"timeout_seconds": 0.4, "backoff_seconds": 0.01, "poll_seconds": 0.01}
    return KubeflowRunner(KubeflowSettings(server.host, **{**quick, **more}), here)


def test_too_many_requests_are_sent_again_when_the_server_says(server: KubeflowServer, tmp_path: Path) -> None:
    waits: list[float] = []
    started = runner(server, tmp_path)
    started.client.sleep = waits.append
    server.faults = [Fault(429, "POST", "/runs$", times=2, headers={"Retry-After": "7"})]
    assert started.run(written_pipeline()).exit_code == 0
    assert waits.count(7.0) == 2
    assert len(server.runs) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, "rate limit"),
        (403, 'pods "taxi" is forbidden: exceeded quota: gpu, requested: nvidia.com/gpu=8, limited: 4'),
        (500, "Failed to create a workflow: workflows.argoproj.io is forbidden: exceeded quota: compute"),
    ],
)
def test_a_quota_that_is_used_up_is_called_so(
    server: KubeflowServer, tmp_path: Path, status: int, message: str
) -> None:
    server.faults = [Fault(status, "POST", "/runs$", times=None, message=message)]
    with pytest.raises(ApiError, match="expected room in the quota") as refused:
        runner(server, tmp_path).run(written_pipeline())
    assert message in refused.value.problem.received
    assert refused.value.exit_code == 2
    assert not server.runs


@pytest.mark.parametrize("kind", [500, 503, "timeout", "cut", "half", "reset"])
def test_a_question_that_fails_once_is_asked_again(server: KubeflowServer, tmp_path: Path, kind: int | str) -> None:
    server.faults = [Fault(kind, "GET", path) for path in ("healthz", "experiments", "versions", "/runs/")]
    assert runner(server, tmp_path).run(written_pipeline()).exit_code == 0
    assert len(server.runs) == len(server.versions) == len(server.experiments) == 1
    assert len(server.asked("GET", "healthz")) == 2


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (500, "healthz with 500: told to fail"),
        ("timeout", "no answer to GET /apis/v2beta1/healthz from .* in 0.4 s"),
        ("cut", "broke off while it answered GET /apis/v2beta1/healthz"),
        ("half", "that are not whole JSON"),
        ("reset", "broke off while it answered"),
    ],
)
def test_a_question_that_always_fails_is_given_up_with_the_reason(
    server: KubeflowServer, tmp_path: Path, kind: int | str, words: str
) -> None:
    server.faults = [Fault(kind, "GET", "healthz", times=None)]
    with pytest.raises(SpecError, match=words) as refused:
        runner(server, tmp_path, attempts=3).run(written_pipeline())
    assert refused.value.exit_code == 2
    assert len(server.seen) == 3


@pytest.mark.parametrize("kind", [500, "timeout", "cut", "half", "reset"])
def test_a_run_whose_start_was_not_confirmed_is_found_and_not_started_again(
    server: KubeflowServer, tmp_path: Path, kind: int | str
) -> None:
    server.faults = [Fault(kind, "POST", "/runs$", done=True)]
    result = runner(server, tmp_path).run(written_pipeline())
    assert len(server.asked("POST", "/runs$")) == len(server.runs) == 1
    assert result.run_id == server.runs[0].record["run_id"]
    assert result.exit_code == 0


@pytest.mark.parametrize("kind", [500, "timeout", "cut", "reset"])
def test_a_run_that_was_perhaps_not_started_is_not_started_again_but_told(
    server: KubeflowServer, tmp_path: Path, kind: int | str
) -> None:
    server.faults = [Fault(kind, "POST", "/runs$")]
    with pytest.raises(SpecError, match="There is no run 'taxi .*' now. Look once more before you start again"):
        runner(server, tmp_path).run(written_pipeline())
    assert len(server.asked("POST", "/runs$")) == 1
    name = server.asked("POST", "/runs$")[0].body["display_name"]
    looks = [each for each in server.asked("GET", "/runs$") if name in each.query["filter"]]
    assert len(looks) == 3


def test_a_run_that_cannot_be_looked_for_is_told_as_unknown(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault("cut", "POST", "/runs$", done=True), Fault(500, "GET", "/runs$", times=None)]
    with pytest.raises(SpecError, match="expected to learn whether the run was started"):
        runner(server, tmp_path).run(written_pipeline())
    assert len(server.runs) == 1


@pytest.mark.parametrize("kind", [500, "cut", "half"])
def test_what_was_made_though_the_answer_was_lost_is_used(
    server: KubeflowServer, tmp_path: Path, kind: int | str
) -> None:
    paths = ("/experiments$", "/pipelines$", "upload_version")
    server.faults = [Fault(kind, "POST", path, done=True) for path in paths]
    assert runner(server, tmp_path).run(written_pipeline()).exit_code == 0
    assert len(server.experiments) == len(server.pipelines) == len(server.versions) == 1


def test_somebody_who_was_faster_is_no_error(server: KubeflowServer, tmp_path: Path) -> None:
    """The name is free when it is looked for, and taken when it is used."""
    make = server.answer

    def race(request: Any) -> Any:
        if request.method == "POST" and request.path.endswith(("/experiments", "/pipelines", "upload_version")):
            make(request)
        return make(request)

    server.answer = race  # type: ignore[method-assign]
    assert runner(server, tmp_path).run(written_pipeline()).exit_code == 0
    assert len(server.experiments) == len(server.pipelines) == len(server.versions) == 1


def test_a_server_that_is_away_for_a_while_does_not_end_the_watch(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault(503, "GET", "/runs/", times=40)]
    result = runner(server, tmp_path, attempts=2).run(written_pipeline())
    assert result.exit_code == 0
    assert len(server.runs) == 1


def test_a_server_that_stays_away_ends_the_watch_and_not_the_run(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault(503, "GET", "/runs/", times=None)]
    with pytest.raises(ComponentError, match="was lost from sight") as lost:
        runner(server, tmp_path, attempts=1, patience_seconds=0.2).run(written_pipeline())
    run_id = server.runs[0].record["run_id"]
    assert lost.value.exit_code == 4
    assert f"--attach {run_id}" in lost.value.remedy
    assert not server.asked("POST", "terminate")


def test_a_token_that_expires_ends_the_watch_at_once_and_not_the_run(server: KubeflowServer, tmp_path: Path) -> None:
    server.faults = [Fault(401, "GET", "/runs/", times=None, message="token has expired")]
    with pytest.raises(ComponentError, match="token has expired") as lost:
        runner(server, tmp_path).run(written_pipeline())
    assert "--attach" in lost.value.remedy
    assert len(server.asked("GET", "/runs/")) == 1


def test_a_pipeline_that_the_server_does_not_accept_is_shown_with_its_words(
    server: KubeflowServer, tmp_path: Path
) -> None:
    old = written_pipeline()
    old.pipeline_spec["schemaVersion"] = "2.0.0"
    with pytest.raises(SpecError, match="with 400: KFP only supports schema version 2.1.0"):
        runner(server, tmp_path).run(old)
    assert not server.runs


def test_a_parameter_that_the_pipeline_has_not_is_refused_before_anything_is_sent(
    server: KubeflowServer, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match="got 'epoch'; expected one of root, epochs. Did you mean 'epochs'?"):
        runner(server, tmp_path).run(written_pipeline(), {"epoch": 3})
    assert not server.seen


def test_lists_of_more_than_one_page_are_read_whole(server: KubeflowServer, tmp_path: Path) -> None:
    for number in range(230):
        server.experiments.append({"experiment_id": f"e{number}", "display_name": f"other {number}"})
    server.experiments.insert(0, {"experiment_id": "mine", "display_name": "taxi"})
    page = server._page
    # a server that does not know the filter answers with everything
    server._page = lambda key, items, request: page(  # type: ignore[method-assign]
        key, items, type(request)(request.method, request.path, request.query | {"filter": ""}, {}, None)
    )
    runner(server, tmp_path).run(written_pipeline())
    assert server.runs[0].record["experiment_id"] == "mine"
