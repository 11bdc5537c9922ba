"""What image steps share: moving pixels, ranges of values, shades of grey; always a whole batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from components.augmentation.input_step import InputStep
from components.augmentation.step import Kind, Refusal
from components.features import ModelInput

if TYPE_CHECKING:
    import numpy as np

IMAGE: frozenset[Kind] = frozenset({"image"})
GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""Share of red, green and blue in brightness: ITU-R BT.601."""


class MovingStep(InputStep):
    """Moves pixels.

    Args:
        fill_mode: what comes in from outside: the image mirrored (`reflect`), repeated (`wrap`), its edge (`nearest`),
            or `fill_value` (`constant`).
        fill_value: for `constant`, in the unit of the transformed image.
    """

    accepts: ClassVar[frozenset[Kind]] = IMAGE
    fill_mode: Literal["reflect", "wrap", "nearest", "constant"] = "reflect"
    fill_value: float = Field(default=0.0, allow_inf_nan=False)

    def moved(self, images: Any, matrix: Any, shift: Any) -> Any:
        """Return images whose pixels come from elsewhere; see `moved`."""
        return moved(images, matrix, shift, self.fill_mode, self.fill_value)


def moved(images: Any, matrix: Any, shift: Any, fill_mode: str, fill_value: float = 0.0) -> Any:
    """Return images whose pixel at `p` is the old one at `matrix @ (p - centre) + centre + shift`.

    Between pixels it is interpolated linearly.

    Args:
        images: `[batch, height, width, channels]`.
        matrix: four `[batch]`: x from x, x from y, y from x, y from y.
        shift: two `[batch]`: x and y, in pixels.
        fill_mode: see `MovingStep`.
        fill_value: see `MovingStep`.
    """
    import tensorflow as tf

    (xx, xy, yx, yy), (right, down) = matrix, shift
    size = tf.shape(images)[1:3]
    y, x = tf.unstack((tf.cast(size, tf.float32) - 1) / 2)
    nothing = tf.zeros_like(xx)
    rows = [xx, xy, x + right - xx * x - xy * y, yx, yy, y + down - yx * x - yy * y, nothing, nothing]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([tf.cast(each, tf.float32) for each in rows], axis=1),
        output_shape=size,
        fill_value=fill_value,
        interpolation="BILINEAR",
        fill_mode=fill_mode.upper(),
    )


class ColourStep(InputStep):
    """Changes colours and keeps them in their range.

    Args:
        value_range: lowest and highest value of the transformed image, such as `[0, 255]`; the training refuses images
            that leave it.
    """

    accepts: ClassVar[frozenset[Kind]] = IMAGE
    needs_colour: ClassVar[bool] = False
    """True when it works on red, green and blue only."""

    value_range: tuple[float, float] = (0.0, 1.0)

    @field_validator("value_range")
    @classmethod
    def _is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError(f"value_range [{value[0]:g}, {value[1]:g}] is empty; write the lower value first")
        return value

    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:
        if refusal := super().refuses(inputs):
            return refusal
        for each in self.chosen(inputs) if self.needs_colour else ():
            if each.shape[-1] != 3:
                received = f"{self.plugin_name()} on {each.name!r}, which has {each.shape[-1]} channel(s)"
                return received, "images of red, green and blue", "Remove the step, or keep the colours in transform."
        return None

    def check(self, name: str, values: np.ndarray) -> Refusal | None:
        return outside_range(self.plugin_name(), self.value_range, name, values)

    def clipped(self, images: Any) -> Any:
        """Return images with no value outside the range."""
        import tensorflow as tf

        return tf.clip_by_value(images, *self.value_range)


def outside_range(step: str, value_range: tuple[float, float], name: str, values: np.ndarray) -> Refusal | None:
    """Return that an image has values outside its range; a step would cut them off in silence."""
    low, high = float(values.min()), float(values.max())
    slack = 1e-4 * (value_range[1] - value_range[0])
    if value_range[0] - slack <= low and high <= value_range[1] + slack:
        return None
    expected = f"values in value_range [{value_range[0]:g}, {value_range[1]:g}]"
    wide = [0, 255] if low >= 0 and high <= 255 else [float(f"{low:.1f}"), float(f"{high:.1f}")]
    return f"{step} on {name!r}, with values from {low:.4g} to {high:.4g}", expected, f"Write value_range: {wide}."


def grey(images: Any) -> Any:
    """Return the brightness of each pixel, `[batch, height, width, 1]`."""
    import tensorflow as tf

    if images.shape[-1] != 3:
        return tf.reduce_mean(images, axis=-1, keepdims=True)
    return tf.reduce_sum(images * tf.constant(GREY_WEIGHTS, images.dtype), axis=-1, keepdims=True)


def per_image(values: Any) -> Any:
    """Return one number per image, `[batch]`, in the shape that multiplies images."""
    import tensorflow as tf

    return tf.reshape(values, [-1, 1, 1, 1])
