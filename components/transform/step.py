"""What a transform step is: a column in, a column out, in the graph that training and serving share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

from components.config import Plugin

if TYPE_CHECKING:
    from components.transform.column import Column


class TransformStep(Plugin):
    """Changes one column; may look at the whole training data through a TFT analyzer.

    Steps of a feature form a chain: each gets the column that the one before it returned. Random steps are not
    allowed here, since serving must give the value that training gave.
    """

    accepts: ClassVar[frozenset[Literal["number", "text", "ids"]]]
    """The kinds of column it takes: numbers (int64 or float32), text (string), ids (int64, from a vocabulary, a hash
    or buckets)."""

    @abstractmethod
    def apply(self, column: Column) -> Column:
        """Return the new column.

        Args:
            column: `values` of shape `[batch, width]`; `present` is a boolean `[batch, width]` where a value exists.
        """
