"""What the SMOTE steps share: rows of a rare class, and new ones on the lines to their nearest neighbours."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from components.balancing.step import BalancingStep, shown
from components.errors import ComponentError
from components.features import ModelInput
from components.transform.outputs import out_of_fold_name

if TYPE_CHECKING:
    import numpy as np

    from components.balancing.rows import Rows, Table


@dataclass(frozen=True)
class Neighbourhood:
    """What new rows of one class are made from.

    Args:
        starts: rows of the class that a line may start at.
        ends: `[rows of the class, k]`, the rows that a line may end at.
        copied: column to `[rows of the class]`, the row whose value a new row gets instead of one in between; columns
            of whole numbers that are not named are copied from the start.
    """

    starts: np.ndarray
    ends: np.ndarray
    copied: dict[str, np.ndarray]


class InterpolatingStep(BalancingStep):
    """Makes rows of rare classes: each is a random point between a row and one of its nearest neighbours.

    Args:
        k: nearest neighbours of its own class that a row is joined with, 1 to 100.
    """

    k: int = Field(default=5, ge=1, le=100)

    def refuses(self, inputs: Sequence[ModelInput]) -> tuple[str, str, str] | None:
        name = self.plugin_name()
        if large := [each for each in inputs if len(each.shape) > 1 or (each.is_ids and each.width > 1)]:
            return (
                f"{name} on {shown(large)}, which {'is' if len(large) == 1 else 'are'} no single values",
                "a table: a point between two images, texts or series is none",
                "Use random_oversample, and augmentation if there is one for this kind of data.",
            )
        return None

    def sees(self, rows: Rows, wanted: Sequence[int]) -> list[int]:  # noqa: ARG002
        """Return the classes whose rows it looks at to make rows of the classes `wanted`."""
        return list(wanted)

    @abstractmethod
    def neighbourhood(
        self, table: Table, labels: np.ndarray, label: int, inputs: Sequence[ModelInput]
    ) -> Neighbourhood:
        """Return what new rows of a class are made from.

        Args:
            table: columns of the rows that it sees.
            labels: their classes.
            label: the class.
            inputs: the model's inputs.
        """

    def balance(self, rows: Rows, random: np.random.Generator) -> Rows:
        import numpy as np

        wanted = rows.missing(self.ratio)
        if not wanted:
            return rows
        self._check(rows, wanted)
        seen = np.flatnonzero(np.isin(rows.labels, self.sees(rows, list(wanted))))
        table, labels = rows.columns(seen), rows.labels[seen]
        check_finite(table, rows.inputs)
        for label, count in wanted.items():
            near = self.neighbourhood(table, labels, label, rows.inputs)
            own = np.flatnonzero(labels == label)
            starts = near.starts[random.integers(len(near.starts), size=count)]
            ends = near.ends[starts, random.integers(near.ends.shape[1], size=count)]
            made = _between(table, (own[starts], own[ends]), random.random(count))
            for name, source in near.copied.items():
                made[name] = table[name][own[source[starts]]]
            rows = rows.add(label, seen[own[starts]], made)
        return rows

    def _check(self, rows: Rows, wanted: dict[int, int]) -> None:
        counts = rows.counts()
        for label in wanted:
            if counts[label] <= self.k:
                raise ComponentError(
                    f"{self.plugin_name()} with k: {self.k} needs at least {self.k + 1} rows of each class that it "
                    f"adds to; class {label} has {counts[label]} in the train split.",
                    remedy="Lower k, give it more rows of that class, or use random_oversample.",
                )


def numbers_of(table: Table, names: Sequence[str]) -> np.ndarray:
    """Return columns of numbers side by side, float64 `[rows, sum of widths]`.

    Of an input that was learned from labels, training reads other values than serving; distances are between those.
    """
    import numpy as np

    rows = len(next(iter(table.values())))
    read = [out_of_fold_name(name) if out_of_fold_name(name) in table else name for name in names]
    parts = [np.asarray(table[name], np.float64).reshape(rows, -1) for name in read]
    return np.concatenate(parts, axis=1) if parts else np.zeros((rows, 0))


def is_categories(values: np.ndarray) -> bool:
    """Return True for whole numbers, and for columns of zeros and ones, such as one_hot makes.

    Example:
        >>> import numpy as np
        >>> is_categories(np.array([[0.0, 1.0], [1.0, 0.0]])), is_categories(np.array([[0.0], [0.5]]))
        (True, False)
    """
    return values.dtype.kind != "f" or bool(((values == 0) | (values == 1)).all())


def check_finite(table: Table, inputs: Sequence[ModelInput]) -> None:
    """Raise a ComponentError when a model input has values that are no numbers: they have no neighbours."""
    import numpy as np

    for each in inputs:
        values = table[each.name]
        bad = int((~np.isfinite(values)).any(axis=1).sum()) if values.dtype.kind == "f" else 0
        if bad:
            raise ComponentError(
                f"{bad} of {len(values)} rows have a missing or infinite value of {each.name!r}; between such rows "
                "there is nothing.",
                remedy=f"Put fill_missing first in transform.{each.name}.",
            )


def _between(table: Table, line: tuple[np.ndarray, np.ndarray], share: np.ndarray) -> Table:
    """Return the points at a share of the way of each line; whole numbers stay those of the start."""
    start, end = line
    made = {}
    for name, values in table.items():
        first = values[start]
        if values.dtype.kind == "f":
            first = (first + share[:, None] * (values[end].astype("f8") - first)).astype(values.dtype)
        made[name] = first
    return made
