"""Augmentation step `random_zoom`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import MovingStep
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomZoom(MovingStep):
    """Enlarges or shrinks each image about its centre, height and width alike.

    Use it where things are seen from near and from far. Do not use it where size tells the classes apart.

    Args:
        factor: largest change of size either way, over 0 and below 1; 0.2 draws sizes from 0.8 to 1.2.
        fill_mode: what comes in around a shrunk image: `reflect`, `wrap`, `nearest` or `constant`.
        fill_value: for `constant`, in the unit of the transformed image.
        inputs: names of the images; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        images `[batch, height, width, channels]` to the same.

    Reference:
        Chatfield and others (2014): Return of the devil in the details. Compare Keras's RandomZoom.

    Example:
        >>> RandomZoom(factor=0.2).factor
        0.2
    """

    shorthand: ClassVar[str | None] = "factor"
    factor: float = Field(default=0.1, gt=0, lt=1)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        scale = 1 / draws.uniform([tf.shape(values)[0]], 1 - self.factor, 1 + self.factor)
        nothing = tf.zeros_like(scale)
        return self.moved(values, (scale, nothing, nothing, scale), (nothing, nothing))
