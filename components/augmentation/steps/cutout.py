"""Augmentation step `cutout`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import IMAGE
from components.augmentation.input_step import InputStep
from components.augmentation.mixing import inside_box
from components.augmentation.step import Facts, Kind
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class Cutout(InputStep):
    """Covers one box of each image.

    Use it so that a model looks at more than the most telling spot. Do not use it where that spot is all there is to
    see; `cut_mix` fills the box with another image instead.

    Args:
        size: of the box, as a share of height and of width, over 0 to 1. The box's middle lies anywhere in the image,
            so that a part of it can be outside.
        fill_value: of the box, in the unit of the transformed image; 0 is the mean of a standardised image.
        inputs: names of the images; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        images `[batch, height, width, channels]` to the same.

    Reference:
        DeVries and Taylor (2017): Improved regularization of convolutional neural networks with cutout. It takes half
        of height and width for CIFAR-10.

    Example:
        >>> Cutout(size=0.25).fill_value
        0.0
    """

    shorthand: ClassVar[str | None] = "size"
    accepts: ClassVar[frozenset[Kind]] = IMAGE
    size: float = Field(default=0.5, gt=0, le=1)
    fill_value: float = Field(default=0.0, allow_inf_nan=False)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        rows = tf.shape(values)[0]
        box = inside_box(values, draws.uniform([rows]), draws.uniform([rows]), tf.fill([rows], self.size))
        return tf.where(box, tf.constant(self.fill_value, values.dtype), values)
