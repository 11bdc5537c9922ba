"""Subtract the median and divide by the inter-quartile range."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class RobustScale(TransformStep):
    """Scales numbers by what outliers do not move: the median becomes 0, the inter-quartile range 1.

    Use it in place of `z_score` on columns with outliers that mean something; `clip_outliers` takes them away. Do not
    use it where more than half of the values are equal: the range is then 0, and the column is only shifted. A value
    that is still missing at the end of the chain becomes 0, which is the median.

    Args:
        low, high: the quantiles between which the range is measured; 0 to 1, `low` below `high`.

    Shapes:
        `[batch, 1]` to `[batch, 1]`. Missing values stay missing.

    Raises:
        ValueError: `low` is not below `high`.

    Reference:
        scikit-learn, RobustScaler.

    Example:
        >>> RobustScale().high
        0.75
    """

    accepts: ClassVar[frozenset[Kind]] = NUMBER

    low: float = Field(default=0.25, ge=0, le=1)
    high: float = Field(default=0.75, ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> RobustScale:
        if self.low >= self.high:
            raise ValueError(f"low below high, got low {self.low} and high {self.high}")
        return self

    def apply(self, column: Column) -> Column:
        """Return the scaled column."""
        import tensorflow as tf

        from components.transform.column import finite_or
        from components.transform.value_counts import exact_quantiles

        found = finite_or(exact_quantiles(column.present_values, [self.low, 0.5, self.high]), 0.0)
        spread = found[2] - found[0]
        divisor = tf.where(spread > 0, spread, tf.ones_like(spread))
        return column.with_values((column.values - found[1]) / divisor).learning(median=found[1], spread=spread)
