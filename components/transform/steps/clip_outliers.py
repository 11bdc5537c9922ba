"""Pull extreme numbers back to a fence."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class ClipOutliers(TransformStep):
    """Clips numbers to `first quartile - fences * IQR … third quartile + fences * IQR`.

    Use it before `z_score` on long-tailed columns. Do not use it where more than half of the values are equal: the
    inter-quartile range is then 0 and every other value would be clipped to the same number.

    Args:
        method: `iqr`, Tukey's fences.
        fences: how many inter-quartile ranges beyond the quartiles the fences stand; above 0.

    Shapes:
        `[batch, 1]` to `[batch, 1]`. Missing values stay missing.

    Reference:
        Tukey, Exploratory Data Analysis, 1977.

    Example:
        >>> ClipOutliers().fences
        1.5
    """

    shorthand: ClassVar[str | None] = "method"
    accepts: ClassVar[frozenset[Kind]] = NUMBER

    method: Literal["iqr"] = "iqr"
    fences: float = Field(default=1.5, gt=0)

    def apply(self, column: Column) -> Column:
        """Return the clipped column."""
        import tensorflow as tf
        import tensorflow_transform as tft

        quartiles = tft.quantiles(column.present_values, num_buckets=4, epsilon=0.001)[0]
        margin = self.fences * (quartiles[2] - quartiles[0])
        low, high = quartiles[0] - margin, quartiles[2] + margin
        return column.with_values(tf.clip_by_value(column.values, low, high)).learning(low_fence=low, high_fence=high)
