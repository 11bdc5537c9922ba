"""What a cleaning step is: rows in, the rows to keep out."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from components.config import Plugin

if TYPE_CHECKING:
    import pyarrow as pa

ANY_KIND = frozenset({"number", "text", "list"})
"""The kinds of column there are: numbers (int64, float32), text (binary), lists (more than one value in a row)."""


class CleaningStep(Plugin):
    """Drops rows from all splits, before anything is learned from them; never runs at serving.

    Steps run in the order of the spec, each on the rows that the ones before it kept. A subclass looks at one row at
    a time; one that compares rows is a `GroupStep`.
    """

    @abstractmethod
    def needed_columns(self) -> tuple[str, ...]:
        """Return the columns it looks at; empty means all of them."""

    def accepts(self) -> frozenset[str]:
        """Return the kinds of column it can look at, out of `ANY_KIND`."""
        return ANY_KIND

    @abstractmethod
    def keep(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Say which rows stay.

        Args:
            batch: the needed columns (int64, float32, binary or lists of them), null where the value is missing, of
                type null where the whole batch has none; any number of rows.

        Returns:
            One non-null boolean per row.
        """


class GroupStep(CleaningStep):
    """Keeps one row of each group of rows: the first, in the order train then eval."""

    @abstractmethod
    def key(self, batch: pa.RecordBatch) -> pa.BinaryArray:
        """Return the name of each row's group, the same whatever batch the row is in; never null."""

    def keep(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Say which rows stay when `batch` is all the data; the engines call `key`, to look beyond one batch."""
        import numpy as np
        import pyarrow as pa

        first = np.zeros(batch.num_rows, bool)
        first[np.unique(self.key(batch).dictionary_encode().indices.to_numpy(), return_index=True)[1]] = True
        return pa.array(first)
