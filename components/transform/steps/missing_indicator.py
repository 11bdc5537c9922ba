"""Tell the model which values were missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from components.transform.step import Kind, SourceStep

if TYPE_CHECKING:
    from components.transform.column import Column


class MissingIndicator(SourceStep):
    """Gives 1.0 where a feature has no value and 0.0 where it has one.

    Use it beside `fill_missing` when the absence itself says something, in a chain of a new name. A chain of ids needs
    none: missing values have an id of their own there.

    Args:
        column: name of a feature, numeric or categorical.

    Shapes:
        a raw feature `[batch, 1]` to number `[batch, 1]`, never missing. Learns nothing from the data.

    Reference:
        scikit-learn, MissingIndicator.

    Example:
        >>> MissingIndicator(column="age").source_columns()
        ('age',)
    """

    shorthand: ClassVar[str | None] = "column"
    makes: ClassVar[Kind | None] = "number"

    column: str

    def source_columns(self) -> tuple[str, ...]:
        """Return the feature."""
        return (self.column,)

    def combine(self, name: str, columns: Sequence[Column]) -> Column:
        """Return the indicator."""
        import tensorflow as tf

        from components.transform.column import Column

        (column,) = columns
        missing = tf.cast(~column.present, tf.float32)
        return Column(name, "number", missing, tf.ones_like(column.present), complete=True)
