"""Augmentation step `random_contrast`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import ColourStep
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomContrast(ColourStep):
    """Moves the pixels of each image away from their mean or towards it, channel by channel.

    Use it for pictures from different cameras or in haze. Do not use it where differences of grey are the measurement.

    Args:
        factor: largest change of the contrast either way, over 0 to 1; 0.2 draws from 0.8 to 1.2.
        value_range: lowest and highest value of the transformed image; values are cut off there.
        inputs: names of the images; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        images `[batch, height, width, channels]` to the same.

    Raises:
        ComponentError: before training, when images have values outside `value_range`.

    Reference:
        Howard (2013): Some improvements on deep convolutional neural network based image classification. One image is
        changed as `tf.image.adjust_contrast` does.

    Example:
        >>> RandomContrast(factor=0.5).value_range
        (0.0, 1.0)
    """

    shorthand: ClassVar[str | None] = "factor"
    factor: float = Field(default=0.2, gt=0, le=1)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        mean = tf.reduce_mean(values, axis=[1, 2], keepdims=True)
        contrast = draws.uniform([tf.shape(values)[0], 1, 1, 1], 1 - self.factor, 1 + self.factor)
        return self.clipped(mean + (values - mean) * contrast)
