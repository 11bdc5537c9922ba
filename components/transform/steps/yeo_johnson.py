"""Bend numbers until they are as normal as a power can make them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column

LARGEST = 1e30
"""Results are cut here: a power can turn a large number of a request into an infinite one."""


class YeoJohnson(TransformStep):
    """Applies the power that makes the training values most likely normal; works on negative numbers too.

    Use it before `z_score` on skewed columns when `log1p` bends too much or too little. On numbers far from 0 with
    little spread, such as years or a longitude, no power bends anything; on very small ones the power gets huge: put a
    `z_score` before it. Do not expect it to make two humps into one; `quantile_normal` does.

    Shapes:
        `[batch, 1]` to `[batch, 1]`. Missing values stay missing.

    Reference:
        Yeo and Johnson, A new family of power transformations to improve normality or symmetry, 2000. The power is
        scikit-learn's PowerTransformer's; on more than 32,768 different values, to about three digits.

    Example:
        >>> YeoJohnson().model_dump()
        {'yeo_johnson': {}}
    """

    accepts: ClassVar[frozenset[Kind]] = NUMBER

    def apply(self, column: Column) -> Column:
        """Return the bent column."""
        import tensorflow as tf

        from components.transform.value_counts import yeo_johnson_power

        power = yeo_johnson_power(column.present_values)
        exponent = tf.cast(power, tf.float64)
        values = tf.cast(column.values, tf.float64)
        sizes = tf.math.log1p(tf.abs(values))
        exponents = tf.where(values >= 0, exponent, 2 - exponent)
        # x ** 0 - 1 over 0 is a logarithm
        is_zero = tf.equal(exponents, 0)
        bent = tf.math.expm1(exponents * sizes) / tf.where(is_zero, tf.ones_like(exponents), exponents)
        made = tf.sign(values) * tf.where(is_zero, sizes, bent)
        clipped = tf.cast(tf.clip_by_value(made, -LARGEST, LARGEST), tf.float32)
        return column.with_values(clipped).learning(power=power)
