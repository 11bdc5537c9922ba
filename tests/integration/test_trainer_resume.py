"""A training that is killed goes on after its last whole epoch; real processes, a real SIGKILL."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories.trainer_artifacts import Artifacts, job_arguments, make_artifacts

REPOSITORY = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from pathlib import Path
from components.training.job import Job
from components.training.run_fn import run_job
given = json.loads(Path(sys.argv[1]).read_text())
folders = {name: Path(given[name]) for name in ("model_folder", "serving_folder", "run_folder")}
run_job(Job(**{**given, **folders}))
"""
# Everything that has to survive: Adam's moments, a falling learning rate, early stopping's memory, dropout's state.
TRAINING = {
    "epochs": 12,
    "batch_size": 32,
    "steps_per_execution": 1,
    "early_stopping": {"patience": 12},
    "reduce_learning_rate": {"patience": 1, "factor": 0.7},
    "optimizer": {"adam": {"learning_rate": 0.02}},
    "tensorboard": False,
}
MODEL = {"family": "mlp", "hidden_units": [32], "dropout": 0.3}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return make_artifacts(tmp_path_factory.mktemp("taxi"), "binary_classification", rows=6000)


def start(artifacts: Artifacts, root: Path, attempt: str) -> tuple[subprocess.Popen[bytes], Path, Path]:
    """Start a training; return the process, its output folder and its progress file."""
    output, progress = root / attempt, root / f"{attempt}.jsonl"
    arguments = job_arguments(artifacts, output, MODEL, TRAINING)
    arguments["runtime"] |= {"root": str(root), "trainer_key": "abc", "progress": str(progress)}
    given = root / f"{attempt}.json"
    given.write_text(json.dumps({name: str(v) if isinstance(v, Path) else v for name, v in arguments.items()}))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    log = (root / f"{attempt}.log").open("wb")
    command = [sys.executable, "-c", PROGRAM, str(given)]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log), output, progress


def finished_epochs(progress: Path) -> list[int]:
    lines = progress.read_text().splitlines() if progress.exists() else []
    texts = [json.loads(line)["text"] for line in lines if line.endswith("}")]
    return [int(text.split()[1].split("/")[0]) for text in texts if text.startswith("epoch") and "val_" in text]


def finish(started: tuple[subprocess.Popen[bytes], Path, Path]) -> dict[str, Any]:
    process, output, progress = started
    assert process.wait(timeout=240) == 0, progress.with_suffix(".log").read_text()
    return json.loads((output / "run" / "history.json").read_text())


def predictions(output: Path) -> tuple[list[bytes], np.ndarray]:
    sample = json.loads((output / "model" / "sample.json").read_text())
    return [base64.b64decode(each) for each in sample["examples_b64"]], np.array(sample["outputs"]["probability"])


def test_a_killed_training_goes_on_and_ends_as_if_it_had_not_been_killed(artifacts: Artifacts, tmp_path: Path):
    (tmp_path / "whole").mkdir()
    whole = start(artifacts, tmp_path / "whole", "only")
    expected = finish(whole)
    assert expected["resumed_from_epoch"] == 0
    assert [each["epoch"] for each in expected["epochs"]] == list(range(1, 13))

    root = tmp_path / "killed"
    root.mkdir()
    process, output, progress = start(artifacts, root, "first")
    deadline = time.monotonic() + 200
    while len(finished_epochs(progress)) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, (root / "first.log").read_text()
    assert not (output / "run" / "history.json").exists()
    assert (root / "checkpoints" / "abc").is_dir()
    done_before = finished_epochs(progress)
    assert 5 <= len(done_before) < 12

    second = start(artifacts, root, "second")
    history = finish(second)
    resumed_from = history["resumed_from_epoch"]
    assert len(done_before) - 1 <= resumed_from <= len(done_before)
    assert finished_epochs(second[2]) == list(range(resumed_from + 1, 13))
    assert [each["epoch"] for each in history["epochs"]] == list(range(1, 13))

    for name in ("loss", "val_loss", "val_auc", "learning_rate"):
        values = [[each[name] for each in result["epochs"]] for result in (expected, history)]
        assert values[0] == values[1], name
    assert len({each["learning_rate"] for each in history["epochs"]}) > 2
    assert history["best_epoch"] == expected["best_epoch"]
    rows, probabilities = predictions(whole[1])
    again, resumed = predictions(second[1])
    assert rows == again
    np.testing.assert_array_equal(probabilities, resumed)
    assert not (root / "checkpoints" / "abc").exists()
