"""Give every number the place that its rank has in a normal distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column

SMALLEST = 1e-7
"""Ranks are cut this far from 0 and 1, at ±5.2 standard deviations, as scikit-learn does."""


class QuantileNormal(TransformStep):
    """Replaces numbers by normal scores: any distribution becomes a standard normal one.

    Use it for columns that no power straightens: several humps, extreme outliers. Do not use it where distances
    matter, since it keeps only the order. Numbers outside the training range get ±5.2. Equal numbers share the middle
    of their ranks. A value that is still missing at the end of the chain becomes 0, the median.

    Args:
        quantiles: how many landmarks are learned; numbers between two are interpolated; 2 to 10,000.

    Shapes:
        `[batch, 1]` to `[batch, 1]`. Missing values stay missing.

    Reference:
        scikit-learn, QuantileTransformer(output_distribution="normal"). The values are the same but for rows that
        share the smallest or the largest number, which scikit-learn puts at ±5.2 however many they are.

    Example:
        >>> QuantileNormal(quantiles=100).model_dump()
        {'quantile_normal': {'quantiles': 100}}
    """

    shorthand: ClassVar[str | None] = "quantiles"
    accepts: ClassVar[frozenset[Kind]] = NUMBER

    quantiles: int = Field(default=1000, ge=2, le=10_000)

    def apply(self, column: Column) -> Column:
        """Return the normal scores."""
        import tensorflow as tf

        from components.transform.column import finite_or
        from components.transform.value_counts import exact_quantiles

        steps = self.quantiles - 1
        found = exact_quantiles(column.present_values, [step / steps for step in range(self.quantiles)])
        landmarks = tf.cast(finite_or(found, 0.0), tf.float64)
        ranks = self._ranks(tf.cast(column.values[:, 0], tf.float64), landmarks)
        scores = tf.math.ndtri(tf.clip_by_value(ranks, SMALLEST, 1 - SMALLEST))
        return column.with_values(tf.cast(scores[:, tf.newaxis], tf.float32)).learning(
            smallest=found[0], median=found[steps // 2], largest=found[steps]
        )

    def _ranks(self, values: tf.Tensor, landmarks: tf.Tensor) -> tf.Tensor:
        """Return which part of the training values lies below, 0 to 1."""
        import tensorflow as tf

        last = self.quantiles - 1
        first_above = tf.searchsorted(landmarks, values, side="left")
        after = tf.searchsorted(landmarks, values, side="right")
        below, above = tf.maximum(after - 1, 0), tf.minimum(first_above, last)
        low, high = tf.gather(landmarks, below), tf.gather(landmarks, above)
        # on a landmark both are the same number: below is its last place then, above its first
        on = after > first_above
        spread = tf.where(on | (high <= low), tf.ones_like(low), high - low)
        part = tf.where(on, tf.constant(0.5, tf.float64), (values - low) / spread)
        places = tf.cast(below, tf.float64) + tf.cast(above - below, tf.float64) * part
        inside = places / last
        outside = tf.where(values < landmarks[0], tf.zeros_like(inside), inside)
        return tf.where(values > landmarks[last], tf.ones_like(inside), outside)
