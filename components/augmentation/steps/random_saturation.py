"""Augmentation step `random_saturation`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import ColourStep, grey
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomSaturation(ColourStep):
    """Makes the colours of each image stronger or paler; brightness stays.

    Use it for photographs. Do not use it where colour tells the classes apart, such as ripe and unripe fruit.

    Args:
        factor: largest change of the colours either way, over 0 to 1; 0.5 draws from 0.5 to 1.5, and 0 would be grey.
        value_range: lowest and highest value of the transformed image; values are cut off there.
        inputs: names of the images; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        images `[batch, height, width, 3]` to the same.

    Raises:
        ComponentError: before training, when images have values outside `value_range`.

    Reference:
        Howard (2013): Some improvements on deep convolutional neural network based image classification. Colours are
        blended with grey, as `ImageEnhance.Color` of Pillow does.

    Example:
        >>> RandomSaturation(factor=0.5).needs_colour
        True
    """

    shorthand: ClassVar[str | None] = "factor"
    needs_colour: ClassVar[bool] = True
    factor: float = Field(default=0.3, gt=0, le=1)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        shades = grey(values)
        strength = draws.uniform([tf.shape(values)[0], 1, 1, 1], 1 - self.factor, 1 + self.factor)
        return self.clipped(shades + (values - shades) * strength)
