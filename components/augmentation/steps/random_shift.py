"""Augmentation step `random_shift`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import MovingStep
from components.augmentation.step import Facts, Refusal
from components.features import ModelInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.augmentation.draws import Draws


class RandomShift(MovingStep):
    """Moves each image by whole pixels, up or down and left or right.

    Use it where what matters is not always in the middle. Do not use it where the place itself is the information.

    Args:
        factor: largest way either way, as a share of height and of width, over 0 to 0.5; at least one pixel.
        fill_mode: what comes in at the side: `reflect`, `wrap`, `nearest` or `constant`.
        fill_value: for `constant`, in the unit of the transformed image.
        inputs: names of the images; default: all.
        fraction: share of rows that it is tried on, over 0 to 1; not moving at all is one of the draws.

    Shapes:
        images `[batch, height, width, channels]` to the same.

    Reference:
        Simard, Steinkraus, Platt (2003): Best practices for convolutional neural networks applied to visual document
        analysis. Compare Keras's RandomTranslation, which also stops between pixels.

    Example:
        >>> RandomShift(factor=0.125).pixels(28)
        4
    """

    shorthand: ClassVar[str | None] = "factor"
    factor: float = Field(default=0.1, gt=0, le=0.5)

    def pixels(self, length: int) -> int:
        """Return the largest way along a side, in pixels."""
        return int(self.factor * length + 0.5)

    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:
        if refusal := super().refuses(inputs):
            return refusal
        for each in self.chosen(inputs):
            longest = max(each.shape[:2])
            if not self.pixels(longest):
                received = f"factor {self.factor:g} of {longest} pixels of {each.name!r}"
                return received, "at least one pixel", f"Set it to {1 / longest:.2g} or more."
        return None

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        rows, (height, width) = tf.shape(values)[0], (self.pixels(side) for side in values.shape[1:3])
        down, right = (tf.cast(draws.integers([rows], -most, most), tf.float32) for most in (height, width))
        nothing = tf.zeros_like(down)
        return self.moved(values, (nothing + 1, nothing, nothing, nothing + 1), (right, down))
