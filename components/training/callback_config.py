"""Parts of section `training` about what happens between epochs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from components.config import Section
from components.engine import user_file
from components.engine.user_file import Wanted
from components.errors import Problem

Mode = Literal["auto", "min", "max"]


class EarlyStoppingConfig(Section):
    """Stop when the evaluation loss no longer improves; the best weights are kept.

    Args:
        patience: epochs without improvement to wait for.
        min_delta: smallest change that counts as improvement.
        monitor: name of the watched quantity in the Keras history.
        mode: whether it should fall (`min`) or rise (`max`); `auto` knows it of every name that a task has.
    """

    patience: int = Field(default=3, ge=0)
    min_delta: float = Field(default=0.0, ge=0)
    monitor: str = "val_loss"
    mode: Mode = "auto"


class ReduceLearningRateConfig(Section):
    """Multiply the learning rate by `factor` when the evaluation loss stalls.

    Args:
        patience: epochs without improvement to wait for.
        factor: what the learning rate is multiplied by.
        minimum: the learning rate never goes below it.
        monitor: name of the watched quantity in the Keras history.
        mode: whether it should fall (`min`) or rise (`max`); `auto` knows it of every name that a task has.
        min_delta: smallest change that counts as improvement.
        cooldown: epochs to wait after a reduction before patience counts again.
    """

    patience: int = Field(default=2, ge=0)
    factor: float = Field(default=0.5, gt=0, lt=1)
    minimum: float = Field(default=0.0, ge=0)
    monitor: str = "val_loss"
    mode: Mode = "auto"
    min_delta: float = Field(default=0.0, ge=0)
    cooldown: int = Field(default=0, ge=0)


class BestConfig(Section):
    """Keep the weights of the best epoch.

    Args:
        best: name of what decides, in the Keras history.
        mode: whether it should fall (`min`) or rise (`max`); `auto` knows it of every name that a task has.
    """

    best: str = "val_loss"
    mode: Mode = "auto"


class CheckpointConfig(Section):
    """How much of an epoch a training that is cut off repeats; one of the two. It also goes on after each whole epoch.

    Both count from the last checkpoint, and mean the next call into TensorFlow, of which each does
    `training.steps_per_execution` steps.

    Args:
        every_steps: training steps, from 1.
        every_minutes: minutes, over 0.
    """

    every_steps: int | None = Field(default=None, ge=1)
    every_minutes: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> CheckpointConfig:
        if (self.every_steps is None) == (self.every_minutes is None):
            raise ValueError("one of every_steps and every_minutes")
        return self


class CallbacksConfig(Section):
    """The user's own Keras callbacks, from their Python file.

    Args:
        module: path of the file, relative to the spec's folder.
        function: name of the function in it, called as `function(**parameters)`; it returns the callbacks.
        parameters: keyword arguments for the function.
    """

    module: str = Field(min_length=1, pattern=r"\.py$")
    function: str = "callbacks"
    parameters: dict[str, Any] = {}


CALLBACKS = Wanted("training.callbacks", "function", (), "list of keras.callbacks.Callback")


def check_callbacks_source(config: CallbacksConfig, text: str) -> list[Problem]:
    """Return what is wrong with the user's file, from its syntax tree alone."""
    return user_file.check_source(text, CALLBACKS, config.function, config.parameters, config.module)
