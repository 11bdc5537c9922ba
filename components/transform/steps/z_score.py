"""Subtract the mean and divide by the standard deviation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from components.transform.step import NUMBER, GroupedStep, Kind

if TYPE_CHECKING:
    from components.transform.column import Column, OtherColumns


class ZScore(GroupedStep):
    """Standardises numbers: mean 0 and standard deviation 1 on the training rows that have a value.

    Use it for what a neural network reads; with `by`, where groups differ in level and only the difference from the
    group's own mean matters, as with readings of several machines. Do not use `by` where the level itself says
    something. A column whose values are all equal becomes 0. A value that is still missing at the end of the chain
    becomes 0, which is the mean.

    Args:
        by: a categorical feature whose groups are standardised each by its own mean and deviation; default None, all
            rows together. A group whose values are all equal is divided by the deviation of all rows. Rows of a group
            that is missing or that training never saw are standardised by the values of all rows.
        max_groups: how many groups at most, the most frequent ones; from 1 to 100,000, default 1000.

    Shapes:
        `[batch, 1]` to `[batch, 1]`.

    Example:
        >>> ZScore().model_dump(exclude_none=True)
        {'z_score': {}}
        >>> ZScore(by="machine").read_columns()
        ('machine',)
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

    def apply_with(self, column: Column, others: OtherColumns) -> Column:
        """Return the column, standardised by group."""
        import tensorflow as tf

        from components.transform.combiners import GroupMoments, combined
        from components.transform.group_values import find_keys, group_keys, grouped_rows, known_groups

        keys = group_keys(others.read[0])
        moments = combined("group_moments", GroupMoments(self.groups), *grouped_rows(column, keys))
        table, means, deviations, mean, deviation = moments
        places, found = find_keys(keys, table)
        centre = tf.where(found, tf.gather(means, places), mean)
        divisor = tf.gather(deviations, places)
        divisor = tf.where(found & (divisor > 0), divisor, deviation)
        divisor = tf.where(divisor > 0, divisor, tf.ones_like(divisor))
        learned = {"mean": mean, "standard_deviation": deviation, "groups": known_groups(table)}
        return column.with_values((column.values - centre) / divisor).learning(**learned)
