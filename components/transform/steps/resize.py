"""Bring images to another size."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from components.transform.image_size import Fit, Method, Shape, Size
from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Resize(TransformStep):
    """Interpolates images to a height and a width.

    Use it behind a step that wants full detail, such as `sobel`. The size that files come to is a parameter of
    `decode_image`, where it costs less.

    Args:
        size: height and width in pixels, one number for both; 1 to 4096.
        method: how pixels are interpolated; when an image shrinks, all of its pixels count.
        fit: `stretch` changes the aspect ratio; `crop` cuts equal parts off two sides, `pad` puts zeros there.

    Shapes:
        image `[batch, height, width, channels]` to `[batch, *size, channels]`.

    Example:
        >>> Resize(size=(14, 7)).gives_shape((28, 28, 1))
        (14, 7, 1)
    """

    shorthand: ClassVar[str | None] = "size"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"image"})

    size: Size
    method: Method = "bilinear"
    fit: Fit = "stretch"

    def gives_shape(self, shape: Shape | None) -> Shape | None:
        """Return the new size, with the channels there were."""
        return (*self.size, shape[2]) if shape else None

    def apply(self, column: Column) -> Column:
        """Return the images in their new size."""
        from components.transform.images import resize

        return column.with_values(resize(column.values, self.size, self.method, self.fit))
