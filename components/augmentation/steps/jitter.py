"""Augmentation step `jitter`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.input_step import InputStep
from components.augmentation.step import Facts, Kind
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class Jitter(InputStep):
    """Adds Gaussian noise to every time step of a series.

    Use it for series from sensors. Do not use it where single steps are exact, such as counts of events. `noise` is for
    single numbers.

    Args:
        stddev: standard deviation of the noise, in the unit of the transformed series, over 0; the paper takes 0.03 of
            scaled series.
        inputs: names of the series; default: all vectors. Name them when other vectors, such as one-hot categories, are
            among the model's inputs.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        series `[batch, steps]` or `[batch, steps, features]` to the same.

    Reference:
        Um and others (2017): Data augmentation of wearable sensor data for Parkinson's disease monitoring.

    Example:
        >>> Jitter(stddev=0.03).plugin_name()
        'jitter'
    """

    shorthand: ClassVar[str | None] = "stddev"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"vector"})
    stddev: float = Field(default=0.03, gt=0, allow_inf_nan=False)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        return values + draws.normal(tf.shape(values), self.stddev)
