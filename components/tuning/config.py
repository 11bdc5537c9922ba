"""Section `tuning`: which keys of the spec are tried with which values, how, and how long."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from components.config import Section

DEFAULT_TRIALS = 20
DEFAULT_HYPERBAND_TRIALS = 60
SECTIONS = ("model", "training", "augmentation")
"""Sections whose keys can be tuned: what the Trainer is told."""


class RangeConfig(Section):
    """Numbers from `min` to `max`, both included; whole ones when `min`, `max` and `step` are whole.

    Args:
        min: the smallest.
        max: the largest, over `min`.
        step: distance of neighbours; None takes any number between, and any whole one of whole ones.
        scale: `log` tries as many values between 0.001 and 0.01 as between 0.01 and 0.1; `min` is over 0 then.

    Example:
        >>> RangeConfig(min=64, max=192, step=64).values()
        [64, 128, 192]
    """

    min: int | float = Field(allow_inf_nan=False)
    max: int | float = Field(allow_inf_nan=False)
    step: int | float | None = Field(default=None, gt=0, allow_inf_nan=False)
    scale: Literal["linear", "log"] = "linear"

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are tried."""
        return all(isinstance(each, int) for each in (self.min, self.max, self.step) if each is not None)

    def values(self) -> list[int | float] | None:
        """Return all that there are, or None when they are too many to count."""
        step = self.step if self.step is not None else 1 if self.is_whole else None
        if step is None or self.scale == "log":
            return None
        count = math.floor((self.max - self.min) / step + 1e-9) + 1
        return [self.min + index * step for index in range(count)]

    @model_validator(mode="after")
    def _in_order(self) -> RangeConfig:
        if self.min >= self.max:
            raise ValueError(f"min below max, not {self.min:g} and {self.max:g}")
        if self.scale == "log" and self.min <= 0:
            raise ValueError(f"min over 0 with scale log, not {self.min:g}")
        if self.scale == "log" and self.step is not None:
            raise ValueError("no step with scale log; list the values instead")
        return self


class TrialStoppingConfig(Section):
    """A trial ends when its objective no longer improves: by patience only, not by how other trials did.

    Args:
        patience: epochs without improvement to wait for.
    """

    patience: int = Field(default=1, ge=0)


Choices = tuple[Any, ...]


class TuningConfig(Section):
    """Try values of the spec's keys; the Trainer then trains with the best ones.

    Trials never see the eval split: a part of the train split is held out for them, chosen by a hash of each row's
    content, so that what the gate says of the model stays true. The Trainer learns from the whole train split again.
    Values that look best on the held-out part look better there than they are: read the gate, not the trials.

    Args:
        method: `grid` tries all combinations, `random` draws them, `bayesian` draws where earlier trials let expect
            most (Gaussian process), `hyperband` gives many a few epochs and the best of them more.
        objective: what is compared, a name of the Keras history that begins with `val_`; None takes the first metric of
            the task, such as `val_auc`. Whether it should rise or fall is known by its name.
        trials: how many at most; None takes 20, 60 for hyperband (whose trials are short), and all for grid.
        max_minutes: no trial begins later; looked at between trials, so that one that runs is never cut off. None has
            no limit.
        epochs: of each trial; hyperband: of its longest ones. None takes `training.epochs`.
        parallel: trials at a time, each in a process of its own with its share of the cores.
        early_stopping: None lets every trial train all its epochs.
        holdout: part of the train split that trials are compared on, 0.05 to 0.5.
        seed: of what is drawn.
        space: dotted path of a key of `model`, `training` or `augmentation` to its values: a list, or a range.

    Reference:
        Snoek, Larochelle, Adams (2012): Practical Bayesian optimization of machine learning algorithms.
        Li, Jamieson, DeSalvo, Rostamizadeh, Talwalkar (2018): Hyperband.

    Example:
        >>> TuningConfig(method="grid", space={"model.dropout": [0.0, 0.2], "training.batch_size": [64]}).grid_size()
        2
    """

    method: Literal["grid", "random", "bayesian", "hyperband"] = "bayesian"
    objective: str | None = None
    trials: int | None = Field(default=None, ge=1)
    max_minutes: float | None = Field(default=None, gt=0)
    epochs: int | None = Field(default=None, ge=1)
    parallel: int = Field(default=1, ge=1, le=64)
    early_stopping: TrialStoppingConfig | None = None
    holdout: float = Field(default=0.2, ge=0.05, le=0.5)
    seed: int = Field(default=0, ge=0)
    space: dict[str, RangeConfig | Choices] = Field(min_length=1)

    @field_validator("space", mode="before")
    @classmethod
    def _ranges_or_lists(cls, written: Any) -> Any:
        if not isinstance(written, dict):
            return written
        made: dict[str, Any] = {}
        for path, values in written.items():
            if isinstance(values, dict):
                values = RangeConfig.model_validate(values)
            elif not isinstance(values, RangeConfig):
                _check_choices(path, values)
            made[str(path)] = values
        return made

    @model_validator(mode="after")
    def _countable(self) -> TuningConfig:
        if self.method == "grid":
            for path, values in self.space.items():
                if isinstance(values, RangeConfig) and values.values() is None:
                    raise ValueError(f"with method grid, a list of values or a range with a step for {path}")
        return self

    def grid_size(self) -> int:
        """Return the number of combinations of a grid."""
        counts = (each.values() if isinstance(each, RangeConfig) else each for each in self.space.values())
        return math.prod(len(each or ()) for each in counts)

    @property
    def most_trials(self) -> int:
        """How many trials there are at most."""
        if self.trials is not None:
            return self.trials
        if self.method == "grid":
            return self.grid_size()
        return DEFAULT_HYPERBAND_TRIALS if self.method == "hyperband" else DEFAULT_TRIALS


def _check_choices(path: str, values: Any) -> None:
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"for {path} a list of values, or {{min: …, max: …}}, not {values!r}")
    if any(value in values[:index] for index, value in enumerate(values)):
        raise ValueError(f"each value of {path} once, not {values!r}")
