"""Find edges in images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from components.transform.image_size import Shape
from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Sobel(TransformStep):
    """Replaces each pixel by how much its neighbourhood changes, so that outlines stay and even areas vanish.

    Use it where form matters and light does not. The sums of Sobel's 3 x 3 masks are not divided: an edge from 0 to
    255 comes to 1020. Pixels beyond the border mirror those inside.

    Args:
        output: `magnitude` of the gradient; or `gradients`, the one down and the one to the right of each channel.

    Shapes:
        image `[batch, height, width, channels]` to the same, or to twice as many channels for `gradients`.

    Reference:
        Sobel, Feldman: A 3x3 Isotropic Gradient Operator for Image Processing, 1968; `tf.image.sobel_edges`.

    Example:
        >>> Sobel(output="gradients").gives_shape((28, 28, 3))
        (28, 28, 6)
    """

    shorthand: ClassVar[str | None] = "output"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"image"})

    output: Literal["magnitude", "gradients"] = "magnitude"

    def gives_shape(self, shape: Shape | None) -> Shape | None:
        """Return the shape; refuse an image of a single row or column, which mirrors nothing."""
        if shape and min(shape[:2]) < 2:
            raise ValueError(f"an image of at least 2 x 2 pixels, this one is {shape[0]} x {shape[1]}")
        return (*shape[:2], shape[2] * (2 if self.output == "gradients" else 1)) if shape else None

    def apply(self, column: Column) -> Column:
        """Return the edges."""
        import tensorflow as tf

        height, width, channels = column.values.shape[1:]
        gradients = tf.image.sobel_edges(column.values)
        if self.output == "gradients":
            return column.with_values(tf.reshape(gradients, [-1, height, width, 2 * channels]))
        return column.with_values(tf.norm(gradients, axis=-1))
