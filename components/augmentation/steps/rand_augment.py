"""Augmentation step `rand_augment`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import ColourStep
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandAugment(ColourStep):
    """Changes each image by a few operations drawn from fourteen, all of one strength.

    Use it for photographs when you do not want to tune single steps: two numbers are all there is. Do not use it where
    one of the operations changes the class, such as negative colours or large moves; name single steps then.

    The operations: identity, auto-contrast, equalize, rotate, solarize, colour, posterize, contrast, brightness,
    sharpness, shear and translate (each in x and y).

    Args:
        operations: how many are drawn for each image, one after the other, 1 to 14.
        magnitude: their strength, over 0 to 10; at 10 a rotation is 30 degrees and a move 0.45 of the image.
        value_range: lowest and highest value of the transformed image.
        inputs: names of the images; default: all.
        fraction: share of rows that it is tried on, over 0 to 1; identity is one of the operations.

    Shapes:
        images `[batch, height, width, channels]` to the same. What comes in from outside is the middle of the range.

    Raises:
        ComponentError: before training, when images have values outside `value_range`.

    Reference:
        Cubuk, Zoph, Shlens, Le (2019): RandAugment: Practical automated data augmentation with a reduced search space.
        Strengths are those of torchvision.

    Example:
        >>> RandAugment(magnitude=5).operations
        2
    """

    shorthand: ClassVar[str | None] = "magnitude"
    operations: int = Field(default=2, ge=1, le=14)
    magnitude: float = Field(default=9.0, gt=0, le=10)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        from components.augmentation.policy import OPERATIONS

        low, high = self.value_range
        images, shape = (values - low) / (high - low), values.shape
        rows = tf.shape(values)[0]
        for _ in range(self.operations):
            operation = draws.integers([rows], 0, len(OPERATIONS) - 1)
            sign = tf.cast(2 * draws.integers([rows], 0, 1) - 1, tf.float32)
            # each operation sees its own rows only: one pass over the batch instead of fourteen
            places, parts, strengths = (
                tf.dynamic_partition(each, operation, len(OPERATIONS))
                for each in (tf.range(rows), images, sign * self.magnitude / 10)
            )
            changed = [
                function(tf.ensure_shape(part, [None, *shape[1:]]), strength)
                for function, part, strength in zip(OPERATIONS, parts, strengths, strict=True)
            ]
            images = tf.ensure_shape(tf.dynamic_stitch(places, changed), [None, *shape[1:]])
        return images * (high - low) + low
