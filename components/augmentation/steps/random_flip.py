"""Augmentation step `random_flip`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from components.augmentation.images import IMAGE
from components.augmentation.input_step import InputStep
from components.augmentation.step import Facts, Kind
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomFlip(InputStep):
    """Mirrors half of the images.

    Use it where left and right (or up and down) mean the same: animals, satellite pictures. Do not use it for digits,
    letters or organs, whose mirror image is something else.

    Args:
        direction: `horizontal` swaps left and right, `vertical` swaps top and bottom, `both` draws each by itself.
        inputs: names of the images; default: all.
        fraction: share of rows that it is tried on, over 0 to 1. Each direction then happens to half of them.

    Shapes:
        images `[batch, height, width, channels]` to the same.

    Reference:
        Krizhevsky, Sutskever, Hinton (2012): ImageNet classification with deep convolutional neural networks.

    Example:
        >>> import numpy as np
        >>> from components.augmentation.draws import Draws
        >>> images = np.tile(np.float32([0, 1]).reshape(1, 1, 2, 1), [4, 1, 1, 1])
        >>> RandomFlip().augment(images, Draws([0, 0]), None, None).numpy()[:, 0, :, 0].tolist()
        [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    """

    shorthand: ClassVar[str | None] = "direction"
    accepts: ClassVar[frozenset[Kind]] = IMAGE
    direction: Literal["horizontal", "vertical", "both"] = "horizontal"

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        for name, axis in (("horizontal", 2), ("vertical", 1)):
            if self.direction in (name, "both"):
                flips = draws.uniform([tf.shape(values)[0], 1, 1, 1]) < 0.5
                values = tf.where(flips, tf.reverse(values, [axis]), values)
        return values
