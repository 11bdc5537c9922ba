"""What a cleaning step is: rows in, the rows to keep out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from components.config import Plugin

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ANY_KIND = frozenset({"number", "text", "list"})
"""The kinds of column there are: numbers (int64, float32), text (binary), lists (more than one value in a row)."""

TRAIN = "train"
"""The split that is learned from."""

MERGED_AT = 1 << 18
"""Values of summaries that are kept side by side before they are merged."""

Summary = dict[str, tuple["np.ndarray", "np.ndarray"]]
"""Column name to its different values, ascending, and how often each occurs."""

Learned = dict[str, tuple[float, float]]
"""Column name to the smallest and the largest value that stays."""


class CleaningStep(Plugin):
    """Drops rows, before anything is fitted to them; never runs at serving.

    Steps run in the order of the spec, each on the rows that the ones before it kept. A subclass looks at one row at
    a time, in every split; one that compares rows is a `GroupStep`, one that learns from them a `LearningStep`.
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


class LearningStep(CleaningStep):
    """Drops rows of the train split, by what it learns from the train rows that reach it.

    Rows of other splits stay: evaluation has to see what live requests will hold. What is learned is a pure function of
    a summary that adds up, so it does not depend on how the rows are divided into batches.
    """

    @abstractmethod
    def summarize(self, batch: pa.RecordBatch) -> Summary:
        """Return how often each value occurs in some rows; summaries are added up by `add_up`."""

    @abstractmethod
    def learn(self, summary: Summary) -> Learned:
        """Return what follows from all rows for training; a column without any value is left out."""

    @abstractmethod
    def keep_by(self, learned: Learned, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Say which rows stay; see `keep`. A column that nothing was learned of drops none."""

    def keep(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Say which rows stay when `batch` is all the data; the engines learn from more than one batch."""
        return self.keep_by(self.learn(self.summarize(batch)), batch)


def add_up(summaries: Iterable[Summary]) -> Summary:
    """Return the summary of all rows.

    Example:
        >>> import numpy as np
        >>> parts = [{"fare": (np.array([3.0]), np.array([2]))}, {"fare": (np.array([3.0, 5.0]), np.array([1, 1]))}]
        >>> [each.tolist() for each in add_up(parts)["fare"]]
        [[3.0, 5.0], [3, 1]]
    """
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for summary in summaries:
        for column, counted in summary.items():
            known = parts.setdefault(column, [])
            known.append(counted)
            if sum(len(values) for values, _ in known[1:]) > max(len(known[0][0]), MERGED_AT):
                known[:] = [_merged(known)]
    return {column: _merged(known) for column, known in parts.items()}


def _merged(parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    values, counts = (np.concatenate(each) for each in zip(*parts, strict=True))
    different, places = np.unique(values, return_inverse=True)
    # counts are whole numbers, which float64 adds up exactly
    return different, np.bincount(places, counts, len(different)).astype(np.int64)


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
