"""Turn colours into shades of grey."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from components.transform.image_size import Shape
from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Grayscale(TransformStep):
    """Keeps the brightness of each pixel as the one channel.

    Use it where colour tells nothing, after a step that needs colours; else `decode_image: {channels: 1}` does it
    while reading.

    Shapes:
        image `[batch, height, width, 3]` to `[batch, height, width, 1]`.

    Reference:
        ITU-R Recommendation BT.601: 0.2989 red + 0.5870 green + 0.1140 blue.

    Example:
        >>> Grayscale().gives_shape((28, 28, 3))
        (28, 28, 1)
    """

    accepts: ClassVar[frozenset[Kind]] = frozenset({"image"})

    def gives_shape(self, shape: Shape | None) -> Shape | None:
        """Return the shape with one channel; refuse an image without colours."""
        if shape and shape[2] != 3:
            raise ValueError(f"an image with 3 channels, this one has {shape[2]}")
        return (*shape[:2], 1) if shape else None

    def apply(self, column: Column) -> Column:
        """Return the brightness."""
        from components.transform.images import grey

        return column.with_values(grey(column.values))
