"""Augmentation step `scaling`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.input_step import InputStep
from components.augmentation.step import Facts, Kind
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class Scaling(InputStep):
    """Multiplies a whole series by one number near 1.

    Use it for series whose height differs between sensors or persons while their shape does not. Do not use it where
    the height itself is predicted, since the label is not scaled.

    Args:
        stddev: standard deviation of the number around 1, over 0; the paper takes 0.1.
        inputs: names of the series; default: all vectors. Name them when other vectors, such as one-hot categories, are
            among the model's inputs.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        series `[batch, steps]` or `[batch, steps, features]` to the same; each feature has a number of its own.

    Reference:
        Um and others (2017): Data augmentation of wearable sensor data for Parkinson's disease monitoring.

    Example:
        >>> Scaling(stddev=0.1).stddev
        0.1
    """

    shorthand: ClassVar[str | None] = "stddev"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"vector"})
    stddev: float = Field(default=0.1, gt=0, allow_inf_nan=False)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        return values * (1 + draws.normal([tf.shape(values)[0], 1, *values.shape[2:]], self.stddev))
