"""Describe images by the directions of their edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.transform.image_size import Shape
from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column

_CLIP = 0.2
_EPSILON = 1e-5


class Hog(TransformStep):
    """Counts the directions of the brightness' gradient in cells of the image: a histogram of oriented gradients.

    Use it last in a chain, for outlines and writing, where a small model is to learn from few images. A network of
    convolutions learns its own filters and wants the pixels. Directions count from 0 to 180 degrees, each pixel with
    the length of its gradient, in the channel where that is longest. Histograms are normalised over blocks of cells
    that overlap (L2-Hys: to length one, clipped at 0.2, again to length one), so light and contrast do not matter.
    The numbers are those of `skimage.feature.hog`, but for directions that lie exactly between two bins (45 degrees of
    12 bins), which rounding may put on either side.

    Args:
        orientations: bins of the histogram; from 2, default 9.
        cell: side of a cell in pixels; from 2, default 8. Pixels right and below of the last whole cell do not count.
        block: side of a block in cells; from 1, default 2.

    Shapes:
        image `[batch, height, width, channels]` to a vector `[batch, blocks down * blocks across * block * block *
        orientations]`.

    Raises:
        ValueError: the image is smaller than a block.

    Reference:
        Dalal, Triggs: Histograms of Oriented Gradients for Human Detection, CVPR 2005, https://hal.science/inria-00548512.
        As in scikit-image, a pixel counts in one cell and one bin, where the paper divides it among neighbours.

    Example:
        >>> Hog(cell=7).gives_shape((28, 28, 1))
        (324,)
    """

    accepts: ClassVar[frozenset[Kind]] = frozenset({"image"})
    makes: ClassVar[Kind | None] = "vector"

    orientations: int = Field(default=9, ge=2, le=360)
    cell: int = Field(default=8, ge=2)
    block: int = Field(default=2, ge=1)

    def gives_shape(self, shape: Shape | None) -> Shape | None:
        """Return how many numbers there are; refuse an image that is smaller than a block."""
        if not shape:
            return None
        down, across = (side // self.cell - self.block + 1 for side in shape[:2])
        if min(down, across) < 1:
            side = self.cell * self.block
            raise ValueError(f"an image of at least {side} x {side} pixels, this one is {shape[0]} x {shape[1]}")
        return (down * across * self.block**2 * self.orientations,)

    def apply(self, column: Column) -> Column:
        """Return the histograms."""
        import tensorflow as tf

        shape = self.gives_shape(tuple(column.values.shape[1:]))
        blocks = tf.reshape(self._normalised(self._cells(column.values)), [-1, *(shape or ())])
        return column.with_values(tf.where(column.present, blocks, tf.zeros_like(blocks)), kind="vector")

    def _cells(self, images: tf.Tensor) -> tf.Tensor:
        """Return the histogram of each cell, `[batch, cells down, cells across, orientations]`."""
        import tensorflow as tf

        # the outermost pixels have no gradient across the border, as in scikit-image
        down = tf.pad(images[:, 2:] - images[:, :-2], [[0, 0], [1, 1], [0, 0], [0, 0]])
        across = tf.pad(images[:, :, 2:] - images[:, :, :-2], [[0, 0], [0, 0], [1, 1], [0, 0]])
        length = tf.sqrt(tf.square(down) + tf.square(across))
        strongest = tf.argmax(length, axis=-1)
        down, across, length = (tf.gather(part, strongest, axis=-1, batch_dims=3) for part in (down, across, length))
        half_turn = 3.14159265358979
        share = tf.math.floormod(tf.atan2(down, across) / half_turn, 1.0)
        # rounding may bring a share of just below one up to one
        bins = tf.minimum(tf.cast(share * self.orientations, tf.int32), self.orientations - 1)
        histograms = tf.one_hot(bins, self.orientations) * length[..., tf.newaxis]
        return tf.nn.avg_pool2d(histograms, self.cell, self.cell, "VALID")

    def _normalised(self, cells: tf.Tensor) -> tf.Tensor:
        """Return `[batch, blocks down, blocks across, block, block, orientations]`."""
        import tensorflow as tf

        down, across = (cells.shape[axis] - self.block + 1 for axis in (1, 2))
        parts = [
            cells[:, row : row + down, column : column + across]
            for row in range(self.block)
            for column in range(self.block)
        ]
        blocks = tf.stack(parts, axis=3)
        blocks = tf.minimum(_to_length_one(blocks), _CLIP)
        return _to_length_one(blocks)


def _to_length_one(blocks: tf.Tensor) -> tf.Tensor:
    import tensorflow as tf

    return blocks / tf.sqrt(tf.reduce_sum(tf.square(blocks), axis=[3, 4], keepdims=True) + _EPSILON**2)
