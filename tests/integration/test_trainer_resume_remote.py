"""A training that is killed goes on elsewhere: its checkpoint lies at a remote root, on a real S3 server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.engine.storage import RemoteFolder
from components.training.checkpoint import FILE
from components.training.remote_checkpoint import RemoteCheckpoint
from tests.factories.s3_server import BreakingProxy, Fault
from tests.factories.trainer_artifacts import Artifacts, job_arguments, make_artifacts
from tests.integration.test_trainer_resume import PROGRAM, REPOSITORY, finish, finished_epochs

pytestmark = pytest.mark.usefixtures("s3_credentials")

TRAINING = {"epochs": 12, "batch_size": 32, "steps_per_execution": 1, "tensorboard": False}
MODEL = {"family": "mlp", "hidden_units": [8]}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return make_artifacts(tmp_path_factory.mktemp("taxi"), "binary_classification", rows=6000)


def start(artifacts: Artifacts, machine: Path, url: str) -> tuple[subprocess.Popen[bytes], Path, Path]:
    """Start the training on a machine that has nothing but what the root has."""
    machine.mkdir()
    output, progress = machine / "output", machine / "progress.jsonl"
    arguments = job_arguments(artifacts, output, MODEL, TRAINING)
    arguments["runtime"] |= {"root": str(machine), "remote": url, "trainer_key": "abc", "progress": str(progress)}
    given = machine / "given.json"
    given.write_text(json.dumps({name: str(v) if isinstance(v, Path) else v for name, v in arguments.items()}))
    log = progress.with_suffix(".log").open("wb")
    command = [sys.executable, "-c", PROGRAM, str(given)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log), output, progress


def test_another_machine_goes_on_with_the_last_epoch_that_was_sent(artifacts, s3_server, tmp_path):
    root = RemoteFolder(s3_server.url("resume"))
    process, _, progress = start(artifacts, tmp_path / "first", root.full_url)
    deadline = time.monotonic() + 200
    while len(finished_epochs(progress)) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, progress.with_suffix(".log").read_text()
    assert [file.name for file in root.files("checkpoints")] == [f"checkpoints/abc/{FILE}"]
    done_before = len(finished_epochs(progress))

    second = start(artifacts, tmp_path / "second", root.full_url)
    history = finish(second)
    assert done_before - 1 <= history["resumed_from_epoch"] <= done_before
    assert [each["epoch"] for each in history["epochs"]] == list(range(1, 13))
    assert root.files("checkpoints") == []


def test_a_root_that_cannot_be_reached_costs_the_checkpoint_not_the_training(s3_server, tmp_path, caplog):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / FILE).write_bytes(b"state")
    proxy = BreakingProxy(s3_server.port)
    try:
        proxy.add(Fault("checkpoints"))
        broken = RemoteCheckpoint(RemoteFolder(s3_server.url("broken", proxy.port)), "abc")
        broken.keep(tmp_path / "here")
        broken.fetch(tmp_path / "there")
        broken.clear()
    finally:
        proxy.close()
    assert not (tmp_path / "there" / FILE).exists()
    assert [word for word in ("sent", "read", "deleted") if f"could not be {word}" in caplog.text] == [
        "sent",
        "read",
        "deleted",
    ]
