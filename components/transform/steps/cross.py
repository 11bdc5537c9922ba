"""Join several features into one category."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from components.transform.step import Kind, SourceStep

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column

SEPARATOR = "\x1f"
"""Between the joined parts: ASCII's unit separator, which text does not hold."""


class Cross(SourceStep):
    """Makes one category of the combination of several features, so that a linear model can weigh it.

    Use it first in a chain of a new name, followed by `hash`. A row in which one of the features is missing has a
    missing combination.

    Args:
        columns: names of features; from 2.
        numeric_buckets: into how many quantile ranges a numeric one is cut first; from 2.

    Shapes:
        raw features `[batch, 1]` each, to text `[batch, 1]`.

    Example:
        >>> Cross(columns=["hour", "day"]).source_columns()
        ('hour', 'day')
    """

    shorthand: ClassVar[str | None] = "columns"
    makes: ClassVar[Kind | None] = "text"

    columns: tuple[str, ...] = Field(min_length=2)
    numeric_buckets: int = Field(default=10, ge=2)

    @field_validator("columns")
    @classmethod
    def _each_once(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(columns)) < len(columns):
            raise ValueError("each column once")
        return columns

    def source_columns(self) -> tuple[str, ...]:
        """Return the crossed features."""
        return self.columns

    def combine(self, name: str, columns: Sequence[Column]) -> Column:
        """Return the joined text."""
        import tensorflow as tf

        from components.transform.column import Column

        present = columns[0].present
        for column in columns[1:]:
            present = present & column.present
        joined = tf.strings.join([self._text(column) for column in columns], SEPARATOR)
        complete = all(column.complete for column in columns)
        return Column(name, "text", joined, present, complete)

    def _text(self, column: Column) -> tf.Tensor:
        import tensorflow as tf
        import tensorflow_transform as tft

        if column.kind == "text":
            return column.values
        edges = tft.quantiles(column.present_values, num_buckets=self.numeric_buckets, epsilon=0.001)
        return tf.strings.as_string(tft.apply_buckets(column.values, edges))
