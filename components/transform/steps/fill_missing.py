"""Put a value where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr

from components.config import Section
from components.transform.step import NUMBER, TEXT, Kind, TransformStep

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column


class Constant(Section):
    """A value of your own.

    Args:
        constant: a number for a numeric column, text or a whole number for a categorical one.
    """

    constant: StrictInt | StrictFloat | StrictStr


class FillMissing(TransformStep):
    """Replaces missing values by one value, learned from the training rows that have one.

    Use it first in a chain, before steps that learn from values. Do not use it where the absence itself says
    something: without it, a chain of ids gives missing values an id of their own, and a chain of numbers ends with 0.

    Args:
        strategy: `mean` or `median` (of numbers; the median is one of the values, to 0.1 % of the rows), `mode` (the
            most frequent value; of equally frequent ones the one that sorts last as text), or `{constant: VALUE}`.
            A column without any value at all is filled with 0, or with empty text.

    Shapes:
        `[batch, 1]` to `[batch, 1]`.

    Example:
        >>> FillMissing(strategy="mode").model_dump()
        {'fill_missing': {'strategy': 'mode'}}
    """

    shorthand: ClassVar[str | None] = "strategy"
    accepts: ClassVar[frozenset[Kind]] = NUMBER | TEXT
    completes: ClassVar[bool] = True

    strategy: Literal["mean", "median", "mode"] | Constant = Field(union_mode="left_to_right")

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
        import tensorflow as tf

        value = self._value(column)
        filled = tf.where(column.present, column.values, value)
        complete = tf.ones_like(column.present)
        column = column.with_values(filled, present=complete, complete=True)
        return column.learning(fill_value=value)

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
