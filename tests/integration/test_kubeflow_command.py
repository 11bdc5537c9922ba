"""`sluice run --runner kubeflow` and `sluice schedule` as a user types them, against a real HTTP server."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.factories.kubeflow_http import Fault, serving
from tests.factories.kubeflow_runs import SimulatedRun
from tests.factories.kubeflow_server import KubeflowServer
from tests.integration.test_kubeflow_runner import write_run


def sluice(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("ends", "content", "code", "words"),
    [
        ({}, {}, 0, "pushed    version 7"),
        (
            {"push": "SKIPPED", "pusher": "SKIPPED"},
            {"status": "blocked", "verdict": {"passed": False, "reasons": ["auc 0.7 is below 0.8"]}, "pushed": None},
            3,
            "The gate blocks the model",
        ),
        ({"trainer": "FAILED"}, {}, 4, "Trainer failed"),
    ],
)
def test_a_run_ends_with_the_exit_code_of_a_local_one(
    tmp_path: Path, ends: dict[str, str], content: dict[str, Any], code: int, words: str
) -> None:
    root = tmp_path / "root"
    leave = partial(write_run, root, **content)
    with serving(KubeflowServer(simulate=partial(SimulatedRun, ends=ends, at_end=leave, pace=30))) as server:
        done = sluice(
            tmp_path,
            *("run", "taxi", "training.epochs=2", "--runner", "kubeflow", "--root", str(root), "--image", "sluice:1"),
            KFP_HOST=server.host,
            KFP_TOKEN="secret-token",  # noqa: S106
        )
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stdout
    assert "✓ ExampleGen" in done.stdout
    assert f"{server.host}/#/runs/details/{server.runs[0].record['run_id']}" in done.stdout
    assert {each.headers["Authorization"] for each in server.seen} == {"Bearer secret-token"}
    assert "secret-token" not in done.stdout + done.stderr
    assert (
        server.versions[0]["pipeline_spec"]["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]["epochs"][
            "defaultValue"
        ]
        == 2
    )


def test_a_run_is_followed_again_and_ended_by_its_id(tmp_path: Path) -> None:
    root = tmp_path / "root"
    place = ("--runner", "kubeflow", "--root", str(root), "--image", "sluice:1")
    simulate = partial(SimulatedRun, at_end=partial(write_run, root), pace=30)
    with serving(KubeflowServer(simulate=simulate)) as server:
        first = sluice(tmp_path, "run", "taxi", *place, "--host", server.host)
        run_id = server.runs[0].record["run_id"]
        again = sluice(tmp_path, "run", "taxi", *place, "--host", server.host, "--attach", run_id)
        assert (first.returncode, again.returncode) == (0, 0), again.stdout + again.stderr
        server.runs[0].record["state"] = "RUNNING"
        ended = sluice(tmp_path, "run", "taxi", *place, "--host", server.host, "--terminate", run_id)
    assert ended.returncode == 4
    assert "The run was ended by somebody." in ended.stdout
    assert len(server.runs) == 1
    assert sluice(tmp_path, "run", "taxi", "--attach", run_id).returncode == 2


def test_a_server_that_refuses_is_exit_code_2_with_what_to_do(tmp_path: Path) -> None:
    with serving(KubeflowServer()) as server:
        server.faults = [Fault(403, times=None, message="ann may not read healthz")]
        done = sluice(
            tmp_path,
            *("run", "taxi", "--runner", "kubeflow", "--root", "/r", "--image", "sluice:1", "--host", server.host),
        )
    assert done.returncode == 2
    assert "403: ann may not read healthz" in done.stderr
    assert "do        The server knows who asks and does not let them" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_schedule_is_applied_listed_paused_and_deleted(tmp_path: Path) -> None:
    with serving(KubeflowServer()) as server:
        host = ("--host", server.host)
        root = ("--root", "s3://team/taxi", "--image", "sluice:1")
        applied = sluice(tmp_path, "schedule", "apply", "taxi", "schedule.cron=30 3 * * 1-5", *host, *root)
        assert applied.returncode == 0, applied.stdout + applied.stderr
        assert "schedule taxi: created · 0 30 3 * * 1,2,3,4,5 (seconds first, UTC)" in applied.stdout
        assert sluice(tmp_path, "schedule", "pause", "taxi", *host).stdout == "schedule taxi is paused\n"
        listed = sluice(tmp_path, "schedule", "list", *host).stdout
        assert "taxi" in listed
        assert "paused" in listed
        assert sluice(tmp_path, "schedule", "delete", "taxi", *host).stdout == "schedule taxi is deleted\n"
        assert server.recurring == []
