"""Augmentation step `noise`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.input_step import InputStep
from components.augmentation.step import Facts, Kind
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class Noise(InputStep):
    """Adds Gaussian noise to numbers.

    Use it for measured numbers, so that the model does not learn from their last digits. Do not use it on numbers that
    `transform` does not scale: the same noise is much for one and nothing for another. `jitter` is for series.

    Args:
        stddev: standard deviation of the noise, in the unit of the transformed input, over 0; 0.05 is a twentieth of a
            standard deviation after `z_score`.
        inputs: names of the inputs; default: all single numbers. Vectors and images are changed when they are named.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        numbers `[batch, 1]`, vectors `[batch, width]` or images to the same.

    Reference:
        Bishop (1995): Training with noise is equivalent to Tikhonov regularization.

    Example:
        >>> Noise(stddev=0.1, inputs=("fare",)).inputs
        ('fare',)
    """

    shorthand: ClassVar[str | None] = "stddev"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"number", "vector", "image"})
    unless_named: ClassVar[frozenset[Kind]] = frozenset({"vector", "image"})
    stddev: float = Field(default=0.05, gt=0, allow_inf_nan=False)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        return values + draws.normal(tf.shape(values), self.stddev)
