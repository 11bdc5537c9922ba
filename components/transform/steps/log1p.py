"""Take the logarithm of numbers that span magnitudes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Log1p(TransformStep):
    """Computes `log(1 + x)`, and `-log(1 - x)` for negative numbers, so that every number has a value.

    Use it for amounts, counts and durations with a long tail, before `z_score`. Learns nothing from the data.

    Shapes:
        `[batch, 1]` to `[batch, 1]`. Missing values stay missing.

    Example:
        >>> Log1p().model_dump()
        {'log1p': {}}
    """

    accepts: ClassVar[frozenset[Kind]] = NUMBER

    def apply(self, column: Column) -> Column:
        """Return the logarithms."""
        import tensorflow as tf

        return column.with_values(tf.sign(column.values) * tf.math.log1p(tf.abs(column.values)))
