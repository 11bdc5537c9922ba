"""Start another chain from a feature that has one already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, get_args

from components.transform.step import Kind, SourceStep

if TYPE_CHECKING:
    from components.transform.column import Column as RawColumn


class Column(SourceStep):
    """Starts a chain of a new name from a feature, so that one column gives the model several inputs.

    Use it first in a chain: the words and the characters of one text, a number as it is and in buckets. The feature
    keeps the chain of its own name, the default one where none is written; write `FEATURE: null` to have none.

    Args:
        column: name of a feature of any kind.

    Shapes:
        a raw feature to the same. Learns nothing from the data.

    Example:
        >>> Column(column="story").source_columns()
        ('story',)
    """

    shorthand: ClassVar[str | None] = "column"

    column: str

    def source_columns(self) -> tuple[str, ...]:
        """Return the feature."""
        return (self.column,)

    def source_kinds(self, column: str) -> frozenset[Kind]:
        """Return all kinds."""
        del column
        return frozenset(get_args(Kind))

    def combine(self, name: str, columns: Sequence[RawColumn]) -> RawColumn:
        """Return the feature under the chain's name."""
        (column,) = columns
        return replace(column, name=name)
