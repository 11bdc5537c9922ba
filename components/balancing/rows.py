"""The train split as balancing steps see it: which rows there are by now, of which class, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from components.features import ModelInput

Table = dict[str, np.ndarray]
"""Column to values `[rows, width]`, float32 or int64; all columns of the transformed examples."""


@dataclass(frozen=True)
class Rows:
    """Rows by reference: a row that is kept, dropped or repeated is never read, only one that is interpolated from.

    Args:
        inputs: the model's inputs; other columns are the label, the weight and what only training reads.
        read: returns the columns of the rows of the file where a mask `[rows of the file]` is True.
        classes: class of each row of the file, then of each row that was made.
        anchors: row of the file behind which each of them stands: itself, or the one it was made from.
        members: the rows that there are now, as positions in `classes`; a repeated one stands there repeatedly.
        made: columns of the rows that were made, one table per `add`.
    """

    inputs: tuple[ModelInput, ...]
    read: Callable[[np.ndarray], Table]
    classes: np.ndarray
    anchors: np.ndarray
    members: np.ndarray
    made: tuple[Table, ...] = ()

    @classmethod
    def of(cls, inputs: Sequence[ModelInput], classes: np.ndarray, read: Callable[[np.ndarray], Table]) -> Rows:
        """Return all rows of a file, each once."""
        places = np.arange(len(classes))
        return cls(tuple(inputs), read, np.asarray(classes, np.int64), places, places)

    @classmethod
    def in_memory(cls, inputs: Sequence[ModelInput], classes: np.ndarray, columns: Mapping[str, np.ndarray]) -> Rows:
        """Return the rows of columns `[rows, width]`.

        Example:
            >>> rows = Rows.in_memory([ModelInput("x", "float32")], np.array([0, 0, 1]), {"x": np.zeros((3, 1))})
            >>> rows.counts(), rows.missing(1.0), rows.take(np.array([0, 2])).counts()
            ({0: 2, 1: 1}, {1: 1}, {0: 1, 1: 1})
        """
        return cls.of(inputs, classes, lambda wanted: {name: values[wanted] for name, values in columns.items()})

    @property
    def labels(self) -> np.ndarray:
        """The class of each row that there is now."""
        found: np.ndarray = self.classes[self.members]
        return found

    @property
    def rows_of_file(self) -> int:
        """How many rows the file has."""
        return len(self.classes) - sum(len(next(iter(table.values()))) for table in self.made)

    def counts(self) -> dict[int, int]:
        """Return how many rows each class has."""
        classes, numbers = np.unique(self.labels, return_counts=True)
        return dict(zip(classes.tolist(), numbers.tolist(), strict=True))

    def missing(self, ratio: float) -> dict[int, int]:
        """Return how many rows each class lacks that has less than `ratio` times those of the largest one."""
        counts = self.counts()
        wanted = int(ratio * max(counts.values(), default=0))
        return {label: wanted - count for label, count in counts.items() if count < wanted}

    def positions(self, label: int) -> np.ndarray:
        """Return where the rows of a class are among `labels`."""
        return np.flatnonzero(self.labels == label)

    def take(self, positions: np.ndarray) -> Rows:
        """Return some of these rows, in this order."""
        return replace(self, members=self.members[positions])

    def repeat(self, positions: np.ndarray) -> Rows:
        """Return these rows and some of them again."""
        return replace(self, members=np.concatenate([self.members, self.members[positions]]))

    def add(self, label: int, bases: np.ndarray, table: Table) -> Rows:
        """Return these rows and new ones.

        Args:
            label: their class.
            bases: positions of the rows that they were made from.
            table: their columns.
        """
        first = len(self.classes)
        return replace(
            self,
            classes=np.concatenate([self.classes, np.full(len(bases), label)]),
            anchors=np.concatenate([self.anchors, self.anchors[self.members[bases]]]),
            members=np.concatenate([self.members, np.arange(first, first + len(bases))]),
            made=(*self.made, table),
        )

    def columns(self, positions: np.ndarray) -> Table:
        """Return the columns of some of these rows, in this order."""
        members = self.members[positions]
        wanted = np.zeros(self.rows_of_file, bool)
        wanted[members[members < self.rows_of_file]] = True
        pool = [self.read(wanted), *self.made]
        # from a position in `classes` to one in the pool: the rows of the file that were not read are not in it
        places = np.concatenate([np.cumsum(wanted) - 1, np.arange(len(self.classes) - len(wanted)) + wanted.sum()])
        return {name: np.concatenate([table[name] for table in pool])[places[members]] for name in pool[0]}
