"""Put a value where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr, model_validator

from components.config import Section
from components.transform.step import NUMBER, TEXT, GroupedStep, Kind

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column, OtherColumns


class Constant(Section):
    """A value of your own.

    Args:
        constant: a number for a numeric column, text or a whole number for a categorical one.
    """

    constant: StrictInt | StrictFloat | StrictStr


class FillMissing(GroupedStep):
    """Replaces missing values by one value, or one per group of rows, learned from training rows that have one.

    Use it first in a chain, before steps that learn from values; with `by`, where another feature explains much of the
    column, as a species explains a weight. Do not use it where the absence itself says something: without it, a chain
    of ids gives missing values an id of their own, and a chain of numbers ends with 0. A single value per column or
    group makes the column look less spread than it is; `fill_knn` does less so.

    Args:
        strategy: `mean` or `median` (of numbers; the median is one of the values, to 0.1 % of the rows), `mode` (the
            most frequent value; of equally frequent ones the one that sorts last as text), or `{constant: VALUE}`.
            A column without any value at all is filled with 0, or with empty text.
        by: a categorical feature whose groups get a mean or a median each, the median exact; default None, one value
            for all rows. Rows of a group that is missing or that training never saw get the value of all rows.
        max_groups: how many groups at most, the most frequent ones; from 1 to 100,000, default 1000.

    Shapes:
        `[batch, 1]` to `[batch, 1]`.

    Example:
        >>> FillMissing(strategy="mode").model_dump(exclude_none=True)
        {'fill_missing': {'strategy': 'mode'}}
        >>> FillMissing(strategy="mean", by="species").read_columns()
        ('species',)
    """

    shorthand: ClassVar[str | None] = "strategy"
    accepts: ClassVar[frozenset[Kind]] = NUMBER | TEXT
    completes: ClassVar[bool] = True

    strategy: Literal["mean", "median", "mode"] | Constant = Field(union_mode="left_to_right")

    @model_validator(mode="after")
    def _groups_have_averages(self) -> FillMissing:
        if self.by is not None and self.strategy not in ("mean", "median"):
            raise ValueError(f"strategy: mean or median together with by: {self.by}; others know no groups")
        return self

    def refuses(self, kind: Kind) -> tuple[str, str] | None:
        """Refuse to average text, and constants of the wrong type."""
        if isinstance(self.strategy, Constant):
            value = self.strategy.constant
            if kind == "number" and isinstance(value, str):
                return "a number to fill a numeric column with", "Write the constant as a number, without quotes."
            if kind == "text" and isinstance(value, float):
                return "text or a whole number to fill a categorical column with", "Put the constant in quotes."
        elif kind == "text" and self.strategy != "mode":
            return "mode or {constant: TEXT} for a categorical column", "Use fill_missing: mode."
        return None

    def apply(self, column: Column) -> Column:
        """Return the column, complete."""
        value = self._value(column)
        return _filled(column, value).learning(fill_value=value)

    def apply_with(self, column: Column, others: OtherColumns) -> Column:
        """Return the column, complete, filled by group."""
        import tensorflow as tf

        from components.transform.combiners import GroupMedians, GroupMoments, combined
        from components.transform.group_values import find_keys, group_keys, grouped_rows, known_groups

        keys = group_keys(others.read[0])
        rows = grouped_rows(column, keys)
        if self.strategy == "mean":
            table, values, _, overall, _ = combined("group_means", GroupMoments(self.groups), *rows)
        else:
            table, values, overall = combined("group_medians", GroupMedians(self.groups), *rows)
        places, found = find_keys(keys, table)
        value = tf.where(found, tf.gather(values, places), overall)
        return _filled(column, value).learning(fill_value=overall, groups=known_groups(table))

    def _value(self, column: Column) -> tf.Tensor:
        import tensorflow as tf
        import tensorflow_transform as tft

        from components.transform.column import finite_or
        from components.transform.most_frequent import most_frequent

        if isinstance(self.strategy, Constant):
            constant = self.strategy.constant
            return tf.constant(str(constant) if column.kind == "text" else float(constant))
        if self.strategy == "mode":
            return most_frequent(column.present_values)
        if self.strategy == "mean":
            return finite_or(tft.mean(column.present_values), 0.0)
        return finite_or(tft.quantiles(column.present_values, num_buckets=2, epsilon=0.001)[0, 0], 0.0)


def _filled(column: Column, value: tf.Tensor) -> Column:
    import tensorflow as tf

    values = tf.where(column.present, column.values, value)
    return column.with_values(values, present=tf.ones_like(column.present), complete=True)
