"""Augmentation step `random_rotation`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import MovingStep
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomRotation(MovingStep):
    """Turns each image about its centre by an angle of its own.

    Use it where a picture may be taken a little askew. Do not use large angles where they change the meaning: a 6
    becomes a 9.

    Args:
        factor: largest angle either way, in full turns, over 0 to 0.5; 0.1 is 36 degrees.
        fill_mode: what comes in at the corners: `reflect`, `wrap`, `nearest` or `constant`.
        fill_value: for `constant`, in the unit of the transformed image.
        inputs: names of the images; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        images `[batch, height, width, channels]` to the same.

    Reference:
        Simard, Steinkraus, Platt (2003): Best practices for convolutional neural networks applied to visual document
        analysis. The parameters are those of Keras's RandomRotation.

    Example:
        >>> RandomRotation(factor=0.1).fill_mode
        'reflect'
    """

    shorthand: ClassVar[str | None] = "factor"
    factor: float = Field(default=0.05, gt=0, le=0.5)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        angle = draws.uniform([tf.shape(values)[0]], -self.factor, self.factor) * (2 * math.pi)
        still = tf.zeros_like(angle)
        return self.moved(values, (tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle)), (still, still))
