"""Augmentation step `random_brightness`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import ColourStep
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomBrightness(ColourStep):
    """Makes each image lighter or darker, all its pixels by the same amount.

    Use it for pictures taken in changing light. Do not use it where the brightness is the measurement (X-rays).

    Args:
        factor: largest change either way, as a share of the range of values, over 0 to 1.
        value_range: lowest and highest value of the transformed image; values are cut off there.
        inputs: names of the images; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        images `[batch, height, width, channels]` to the same.

    Raises:
        ComponentError: before training, when images have values outside `value_range`.

    Reference:
        Howard (2013): Some improvements on deep convolutional neural network based image classification. Compare
        Keras's RandomBrightness.

    Example:
        >>> RandomBrightness(factor=0.2, value_range=(0, 255)).value_range
        (0.0, 255.0)
    """

    shorthand: ClassVar[str | None] = "factor"
    factor: float = Field(default=0.2, gt=0, le=1)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        low, high = self.value_range
        return self.clipped(
            values + draws.uniform([tf.shape(values)[0], 1, 1, 1], -self.factor, self.factor) * (high - low)
        )
