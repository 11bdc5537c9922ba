"""Augmentation step `random_hue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import ColourStep
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomHue(ColourStep):
    """Turns the colours of each image round the colour wheel, all by the same angle.

    Use it for small shifts of the white balance, or large ones where only shape matters. Do not use it where colour
    tells the classes apart.

    Args:
        factor: largest turn either way, in full turns of the wheel, over 0 to 0.5; 0.5 makes red to cyan.
        value_range: lowest and highest value of the transformed image.
        inputs: names of the images; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        images `[batch, height, width, 3]` to the same.

    Raises:
        ComponentError: before training, when images have values outside `value_range`.

    Reference:
        Howard (2013): Some improvements on deep convolutional neural network based image classification. One image is
        changed as `tf.image.adjust_hue` does.

    Example:
        >>> RandomHue(factor=0.05).factor
        0.05
    """

    shorthand: ClassVar[str | None] = "factor"
    needs_colour: ClassVar[bool] = True
    factor: float = Field(default=0.05, gt=0, le=0.5)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        low, high = self.value_range
        hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv((values - low) / (high - low)), axis=-1)
        turned = tf.math.floormod(hue + draws.uniform([tf.shape(values)[0], 1, 1], -self.factor, self.factor), 1.0)
        return self.clipped(tf.image.hsv_to_rgb(tf.stack([turned, saturation, value], axis=-1)) * (high - low) + low)
