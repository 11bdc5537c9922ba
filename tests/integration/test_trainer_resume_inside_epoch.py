"""A training that is killed inside an epoch goes on there: a real SIGKILL at a random step, weights bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from components.augmentation.config import AugmentationConfig
from tests.factories.trainer_artifacts import Artifacts, job_arguments, make_artifacts
from tests.integration.test_multi_worker import PROGRAM as PROGRAM_OF_WORKERS
from tests.integration.test_trainer_resume import PROGRAM, REPOSITORY

pytestmark = pytest.mark.timeout(900)  # a busy machine takes a minute to start two TensorFlows

# Steps are counted by whole calls, as Keras numbers them: this process dies when the step has been made.
CALLBACKS = """
import os
import signal

import keras

WORKER = os.environ.get("SLUICE_WORKER_INDEX", "0")


class Die(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.at = [int(each) for each in os.environ.get("DIE_AT", "-1,-1").split(",")]
        self.epoch = -1

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if WORKER == "0":
            with open(os.environ["STEPS"], "a") as file:
                file.write(f"{self.epoch},{batch}\\n")

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == self.at[0] and batch >= self.at[1] and WORKER == os.environ.get("DIES", "0"):
            os.kill(os.getpid(), signal.SIGKILL)


def callbacks():
    return [Die()]
"""
EVERY = 6
EPOCHS = 5
# Everything that has to survive: Adam's moments, a falling rate, early stopping's memory, dropout, augmentation.
TRAINING: dict[str, Any] = {
    "epochs": EPOCHS,
    "batch_size": 64,
    "early_stopping": {"patience": 5, "min_delta": 0.002},
    "reduce_learning_rate": {"patience": 0, "factor": 0.7, "min_delta": 0.01},
    "optimizer": {"adam": {"learning_rate": 0.02}},
    "class_weights": {"1": 3.0},
    "tensorboard": False,
    "checkpoint": {"every_steps": EVERY},
    "callbacks": {"module": "die.py"},
    "strategy": "none",
}
MODEL = {"family": "mlp", "hidden_units": [16], "dropout": 0.3, "batch_normalization": True}
AUGMENTATION = [{"noise": {"inputs": ["trip_miles"], "stddev": 0.1}}]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return make_artifacts(tmp_path_factory.mktemp("taxi"), "binary_classification", rows=3000)


def attempt(
    artifacts: Artifacts, root: Path, name: str, die_at: tuple[int, int] | None = None, **training: Any
) -> Path:
    """Train in a process of its own, which may kill itself inside an epoch; return the output folder.

    Of two workers, the second one dies.
    """
    root.mkdir(exist_ok=True)
    output, together = root / name, training.get("strategy") == "multi_worker"
    arguments = job_arguments(artifacts, output, MODEL, {**TRAINING, **training})
    arguments["config"]["augmentation"] = AugmentationConfig.model_validate(AUGMENTATION).model_dump(mode="json")
    arguments["config"]["callbacks_source"] = CALLBACKS
    arguments["runtime"] |= {"root": str(root), "trainer_key": "abc", "workers": 2, "launcher": "processes"}
    given = root / f"{name}.json"
    given.write_text(json.dumps({key: str(v) if isinstance(v, Path) else v for key, v in arguments.items()}))
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "STEPS": str(root / f"{name}.steps")}
    environment["DIES"] = str(int(together))
    if die_at is not None:
        environment["DIE_AT"] = ",".join(map(str, die_at))
    command = [sys.executable, "-c", PROGRAM_OF_WORKERS if together else PROGRAM, str(given)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    killed = 4 if together else -signal.SIGKILL
    assert done.returncode == (0 if die_at is None else killed), done.stdout + done.stderr
    if together and die_at is not None:
        assert "Worker 1 of 2" in done.stdout
        assert "was killed by SIGKILL" in done.stdout
    return output


def steps_of(output: Path) -> list[tuple[int, int]]:
    """Return (epoch, first step) of each call into TensorFlow that an attempt has made."""
    lines = (output.parent / f"{output.name}.steps").read_text().splitlines()
    return [(int(epoch), int(step)) for epoch, step in (line.split(",") for line in lines)]


def trained(output: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    history = json.loads((output / "run" / "history.json").read_text())
    return history, keras.models.load_model(output / "model" / "model.keras").get_weights()


def without_seconds(history: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in each.items() if name != "seconds"} for each in history["epochs"]]


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (2, {"cache": "always", "steps_per_execution": 4}),
        (3, {"cache": "never", "steps_per_execution": 2}),
        (5, {"strategy": "multi_worker", "steps_per_execution": 2}),
    ],
)
def test_killed_at_random_steps_it_ends_with_the_weights_of_a_training_that_was_not(
    artifacts: Artifacts, tmp_path: Path, seed: int, options: dict[str, Any]
):
    chance = random.Random(seed)
    at_once = options["steps_per_execution"]
    expected, weights = trained(attempt(artifacts, tmp_path / "whole", "only", **options))
    calls = steps_of(tmp_path / "whole" / "only")
    last = max(step for _, step in calls)
    first, second = ((epoch, chance.randint(2 * EVERY, last)) for epoch in (chance.randint(0, 1), 3))
    root = tmp_path / "killed"
    attempt(artifacts, root, "first", first, **options)
    attempt(artifacts, root, "second", second, **options)
    history, resumed = trained(attempt(artifacts, root, "third", **options))

    assert history["resumed_from_epoch"] == second[0]
    assert 0 < history["resumed_from_step"] <= second[1]
    for before, after in (("first", "second"), ("second", "third")):
        made, went_on = steps_of(root / before), steps_of(root / after)
        again = len(set(made) & set(went_on))
        assert 1 <= again * at_once <= EVERY + 3 * at_once
        begin = calls.index(went_on[0])
        assert calls[begin : begin + len(went_on)] == went_on
    assert without_seconds(history) == without_seconds(expected)
    assert len({each["learning_rate"] for each in history["epochs"]}) > 1
    assert history["best_epoch"] == expected["best_epoch"]
    for left, right in zip(weights, resumed, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not (root / "checkpoints" / "abc").exists()
