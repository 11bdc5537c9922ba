"""A checkpoint inside an epoch: what it holds, when it is written, and what callbacks hear of going on there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest

from components.errors import ComponentError
from components.training.config import TrainingConfig
from components.training.fit import FitResult
from components.training.places import Places
from components.training.user_callbacks import UserCallbacks
from tests.factories.tumours import same, train

STEPS = 7  # 400 rows by 64
OWN = """import keras


class Listen(keras.callbacks.Callback):
    heard = []

    def __init__(self, fail_at):
        super().__init__()
        self.fail_at = fail_at

    def on_train_begin(self, logs=None):
        self.heard.append("begin")

    def on_train_end(self, logs=None):
        self.heard.append("end")

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        self.heard.append((self.epoch, batch))
        if self.fail_at == (self.epoch, batch):
            raise RuntimeError("the machine is gone")


def callbacks(fail_at=None):
    return [Listen(fail_at and tuple(fail_at))]
"""


def attempt(
    folders: dict[str, str], folder: Path, fail_at: Any = None, **options: Any
) -> tuple[FitResult | None, list[Any]]:
    """Train until it fails, if it shall; return the result and what a callback has heard."""
    given = {"callbacks": {"module": "mine.py", "parameters": {"fail_at": fail_at}}, "steps_per_execution": 1}
    config = TrainingConfig.model_validate({**given, **options})
    assert config.callbacks is not None
    own = UserCallbacks(config.callbacks, OWN)
    places, result = Places(checkpoint_folder=folder, own=own), None
    if fail_at is None:
        result = train(folders, places, **{**given, **options})
    else:
        with pytest.raises(ComponentError, match="the machine is gone"):
            train(folders, places, **{**given, **options})
    keras.backend.clear_session()
    return result, own.callbacks[0].heard  # type: ignore[attr-defined]


@pytest.mark.parametrize("every", [{"every_steps": 2}, {"every_minutes": 1e-9}])
def test_callbacks_hear_of_one_training_that_goes_on_inside_an_epoch(
    folders: dict[str, str], tmp_path: Path, every: dict[str, float]
):
    attempt(folders, tmp_path, (1, 4), checkpoint=every)
    result, heard = attempt(folders, tmp_path, checkpoint=every)
    assert result is not None
    assert (result.resumed_from_epoch, result.resumed_from_step) == (1, 4)
    assert result.history()["resumed_from_step"] == 4
    rest = [(1, step) for step in range(4, STEPS)] + [(2, step) for step in range(STEPS)]
    assert heard == ["begin", *rest, "end"]
    whole, _ = attempt(folders, tmp_path / "whole")
    assert whole is not None
    assert same(result, whole)


def test_without_the_option_a_short_epoch_is_repeated_from_its_beginning(folders: dict[str, str], tmp_path: Path):
    attempt(folders, tmp_path, (1, 4))
    result, heard = attempt(folders, tmp_path)
    assert result is not None
    assert (result.resumed_from_epoch, result.resumed_from_step) == (1, 0)
    assert heard[1] == (1, 0)


def test_a_training_that_stops_early_in_the_epoch_it_went_on_with_stops_there(folders: dict[str, str], tmp_path: Path):
    options: dict[str, Any] = {
        "checkpoint": {"every_steps": 2},
        "early_stopping": {"patience": 1, "min_delta": 100},
        "epochs": 6,
    }
    attempt(folders, tmp_path, (1, 5), **options)
    result, heard = attempt(folders, tmp_path, **options)
    assert result is not None
    assert result.resumed_from_step == 4
    assert len(result.epochs) == 2
    assert heard[-2:] == [(1, STEPS - 1), "end"]
    whole, _ = attempt(folders, tmp_path / "whole", **options)
    assert whole is not None
    assert same(result, whole)


@pytest.mark.parametrize("every", [{}, {"every_steps": 10, "every_minutes": 1}])
def test_checkpoints_are_counted_in_one_way(every: dict[str, int]):
    with pytest.raises(ValueError, match="one of every_steps and every_minutes"):
        TrainingConfig.model_validate({"checkpoint": every})
