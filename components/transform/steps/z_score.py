"""Subtract the mean and divide by the standard deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class ZScore(TransformStep):
    """Standardises numbers: mean 0 and standard deviation 1 on the training rows that have a value.

    Use it for what a neural network reads. A column whose values are all equal becomes 0. A value that is still
    missing at the end of the chain becomes 0, which is the mean.

    Shapes:
        `[batch, 1]` to `[batch, 1]`.

    Example:
        >>> ZScore().model_dump()
        {'z_score': {}}
    """

    accepts: ClassVar[frozenset[Kind]] = NUMBER

    def apply(self, column: Column) -> Column:
        """Return the standardised column."""
        import tensorflow as tf
        import tensorflow_transform as tft

        from components.transform.column import finite_or

        mean = finite_or(tft.mean(column.present_values), 0.0)
        deviation = finite_or(tf.sqrt(tft.var(column.present_values)), 0.0)
        divisor = tf.where(deviation > 0, deviation, tf.ones_like(deviation))
        return column.with_values((column.values - mean) / divisor).learning(mean=mean, standard_deviation=deviation)
