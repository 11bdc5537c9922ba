"""Bring pixels from 0 to 255 into another range."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import model_validator

from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Rescale(TransformStep):
    """Maps black, 0, to `min` and white, 255, to `max`.

    Use it behind `decode_image`: neural networks learn slowly from numbers up to 255. It learns nothing from the data;
    `z_score_channels` does. Later numbers than pixels, such as those of `sobel`, may fall outside the range.

    Args:
        min: where 0 goes.
        max: where 255 goes; above `min`.

    Shapes:
        image `[batch, height, width, channels]` to the same.

    Example:
        >>> Rescale(min=-1).max
        1.0
    """

    accepts: ClassVar[frozenset[Kind]] = frozenset({"image"})

    min: float = 0.0
    max: float = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> Rescale:
        if self.min >= self.max:
            raise ValueError(f"min below max, got min {self.min} and max {self.max}")
        return self

    def apply(self, column: Column) -> Column:
        """Return the rescaled pixels."""
        return column.with_values(column.values * ((self.max - self.min) / 255) + self.min)
