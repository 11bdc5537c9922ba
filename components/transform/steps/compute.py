"""Calculate a new number from several features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import field_validator

from components.expression import Expression
from components.transform.step import NUMBER, TEXT, Kind, SourceStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Compute(SourceStep):
    """Evaluates an arithmetic expression over features: ratios, differences, products, comparisons.

    Use it in a chain of a new name for what you know to matter and the model would have to learn: a speed, a price per
    room. A row in which one of the features is missing, or whose result is not finite (a division by 0, the logarithm
    of a negative number), has a missing value. Numbers have seven digits (float32): two times in epoch seconds are too
    large to subtract; `date_parts` counts days.

    Args:
        expression: features, numbers, `+ - * /`, `log log1p sqrt abs exp min max`, comparisons (also of a categorical
            feature with 'text'), `and or not`; true is 1 and false 0.

    Shapes:
        raw features `[batch, 1]` each, to number `[batch, 1]`. Learns nothing from the data.

    Raises:
        ValueError: the expression does not parse, uses something else, or names no feature.

    Example:
        >>> Compute(expression="trip_miles / (trip_seconds + 1)").source_columns()
        ('trip_miles', 'trip_seconds')
    """

    shorthand: ClassVar[str | None] = "expression"
    makes: ClassVar[Kind | None] = "number"

    expression: str

    @field_validator("expression")
    @classmethod
    def _names_a_column(cls, text: str) -> str:
        if not Expression(text).columns:
            raise ValueError(
                f"an expression that names a feature, got {text!r}: the same number in every row tells nothing"
            )
        return text

    def source_columns(self) -> tuple[str, ...]:
        """Return the features that the expression names."""
        return Expression(self.expression).columns

    def source_kinds(self, column: str) -> frozenset[Kind]:
        """Return text for what is compared with text, else numbers."""
        return TEXT if column in Expression(self.expression).text_columns else NUMBER

    def combine(self, name: str, columns: Sequence[Column]) -> Column:
        """Return the result."""
        import functools

        import tensorflow as tf

        from components.transform.column import Column

        values = dict(zip(self.source_columns(), (column.values for column in columns), strict=True))
        made = tf.cast(Expression(self.expression).evaluate(values, tf), tf.float32)
        finite = tf.math.is_finite(made)
        present = functools.reduce(tf.logical_and, [column.present for column in columns], finite)
        return Column(name, "number", tf.where(finite, made, tf.zeros_like(made)), present)
