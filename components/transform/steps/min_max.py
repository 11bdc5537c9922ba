"""Scale numbers linearly into a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import model_validator

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class MinMax(TransformStep):
    """Maps the smallest training value to `min` and the largest to `max`.

    Use it for columns with natural bounds; one outlier squeezes all other values together, so put `clip_outliers`
    before it or use `z_score`. Larger or smaller values at serving fall outside the range, on the same line. A column
    whose values are all equal becomes `min`.

    Args:
        min: where the smallest value goes.
        max: where the largest value goes; above `min`.

    Shapes:
        `[batch, 1]` to `[batch, 1]`.

    Example:
        >>> MinMax(min=-1).max
        1.0
    """

    accepts: ClassVar[frozenset[Kind]] = NUMBER

    min: float = 0.0
    max: float = 1.0

    @model_validator(mode="after")
    def _in_order(self) -> MinMax:
        if self.min >= self.max:
            raise ValueError(f"min below max, got min {self.min} and max {self.max}")
        return self

    def apply(self, column: Column) -> Column:
        """Return the scaled column."""
        import tensorflow as tf
        import tensorflow_transform as tft

        from components.transform.column import finite_or

        low = finite_or(tft.min(column.present_values), 0.0)
        high = finite_or(tft.max(column.present_values), 0.0)
        spread = tf.where(high > low, high - low, tf.ones_like(low))
        scaled = self.min + (column.values - low) / spread * (self.max - self.min)
        return column.with_values(scaled).learning(smallest=low, largest=high)
