"""`sluice tensorboard` starts TensorBoard on the logs of a run, and says what is missing when there are none."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from components.training.places import Places
from tests.factories.tumours import train, tumours

SPEC = (
    "name: own\ntask: regression\ndata: {path: x.csv, label: fare, features: {miles: numeric}}\nmodel: {family: mlp}\n"
)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Return the command on a pipeline with one run, whose Trainer has trained here."""
    (tmp_path / "pipeline.yaml").write_text(SPEC)
    train(tumours(tmp_path / "data"), Places(log_folder=tmp_path / "model_run" / "tensorboard"), epochs=1)
    outputs = {"model_run": str(tmp_path / "model_run")}
    run = {"run_id": "one", "nodes": [{"name": "Trainer", "outputs": outputs}]}
    (tmp_path / "root" / "runs" / "one").mkdir(parents=True)
    (tmp_path / "root" / "runs" / "one" / "run.json").write_text(json.dumps(run))
    arguments = ["tensorboard", str(tmp_path / "pipeline.yaml"), "--root", str(tmp_path / "root"), "--port", "0"]
    return [sys.executable, "-m", "pipelines.cli", *arguments]


def test_it_answers_with_what_the_run_has_logged(command: list[str]):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            line = next(line for line in server.stdout if "TensorBoard of" in line)
            url = re.search(r"http://\S+", line)
            assert url is not None
            with urllib.request.urlopen(f"{url[0]}data/runs", timeout=60) as answer:  # noqa: S310
                assert json.loads(answer.read()) == ["train", "validation"]
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(30) == 0


def test_a_run_without_logs_is_named(command: list[str], tmp_path: Path):
    for file in (tmp_path / "model_run" / "tensorboard").rglob("*"):
        if file.is_file():
            file.unlink()
    (tmp_path / "model_run" / "tensorboard").rename(tmp_path / "model_run" / "gone")
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "run one, which has none" in done.stderr
    assert "training.tensorboard: true" in done.stderr
