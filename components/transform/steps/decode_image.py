"""Turn the bytes of an image file into pixels of a fixed size."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from components.transform.image_size import Fit, Method, Shape, Size
from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class DecodeImage(TransformStep):
    """Reads JPEG, PNG, GIF (the first frame) and BMP, and brings every image to one size.

    Use it first in the chain of a feature of kind `image`. Pixels are numbers from 0 to 255; put `rescale` or
    `z_score_channels` behind it for a neural network. A request whose bytes are no image that can be read, or that has
    none, counts as missing: all zeros at the end of the chain. At ingestion such files are refused or set aside.

    Args:
        size: height and width in pixels, one number for both; 1 to 4096.
        channels: 3 for colours; 1 for shades of grey, colours by their brightness (ITU-R BT.601). Opacity is left out.
        method: how pixels are interpolated; when an image shrinks, all of its pixels count.
        fit: `stretch` changes the aspect ratio; `crop` cuts equal parts off two sides, `pad` puts black there.

    Shapes:
        bytes `[batch, 1]` to an image `[batch, height, width, channels]`.

    Example:
        >>> DecodeImage(size=28, channels=1).gives_shape(None)
        (28, 28, 1)
    """

    shorthand: ClassVar[str | None] = "size"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"encoded"})
    makes: ClassVar[Kind | None] = "image"

    size: Size
    channels: Literal[1, 3] = 3
    method: Method = "bilinear"
    fit: Fit = "stretch"

    def gives_shape(self, shape: Shape | None) -> Shape | None:
        """Return the size, and the channels."""
        del shape
        return (*self.size, self.channels)

    def apply(self, column: Column) -> Column:
        """Return the images."""
        from components.transform.images import decode

        values, found = decode(column.values[:, 0], self.size, self.channels, self.method, self.fit)
        return column.with_values(values, kind="image", present=column.present & found[:, None])
