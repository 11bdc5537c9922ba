"""What must hold for the rows that cleaning keeps: each has a label and a weight, and the labels make sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.config import DataConfig
from components.data.label_check import LabelCheck
from components.errors import Problem
from components.expression import Expression
from components.features import Task


class Missing:
    """Counts the rows without a value in one column, and remembers the first."""

    def __init__(self, column: str) -> None:
        self.column = column
        self.count = 0
        self.first: int | None = None

    def add(self, values: pa.Array, rows: np.ndarray) -> np.ndarray:
        """Return which of the rows have none.

        Args:
            values: the column.
            rows: index of each row in the whole data set.
        """
        missing = pc.is_null(values, nan_is_null=pa.types.is_floating(values.type)).to_numpy(zero_copy_only=False)
        if missing.any():
            self.count += int(missing.sum())
            if self.first is None:
                self.first = int(rows[missing.argmax()])
        return np.asarray(missing)


class RowCheck:
    """Looks at batches of rows as the model will get them.

    Args:
        data: section `data`.
        steps: the cleaning steps; those that compare rows are left out, since they never drop all of a kind.
        names: the columns that the data have.
        task: what the label must be good for; None when that is not known.
    """

    def __init__(self, data: DataConfig, steps: Sequence[Any], names: Sequence[str], task: Task | None) -> None:
        self.steps = [step for step in steps if not hasattr(step, "key") and set(step.needed_columns()) <= set(names)]
        expression = Expression(data.label.expression)
        has_label = bool(expression.columns) and set(expression.columns) <= set(names)
        self.label = LabelCheck(expression, task) if has_label else None
        self.missing_label = [Missing(name) for name in expression.columns] if has_label else []
        self.missing_weight = [Missing(data.weight)] if data.weight and data.weight in names else []
        self.rows = 0
        self.kept = 0
        of_steps = {name for step in self.steps for name in step.needed_columns() or names}
        self.columns = {one.column for one in (*self.missing_label, *self.missing_weight)} | of_steps
        """The columns that `add` needs."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at rows.

        Args:
            batch: flat columns, at least `columns`; int64, float32, binary or null.
        """
        rows = np.arange(self.rows, self.rows + batch.num_rows)
        self.rows += batch.num_rows
        for step in list(self.steps):
            try:
                keep = step.keep(batch)
            except (TypeError, ValueError, KeyError, NotImplementedError):
                # What a step cannot look at is another check's business.
                self.steps.remove(step)
                continue
            if not pc.all(keep).as_py():
                batch, rows = batch.filter(keep), rows[keep.to_numpy(zero_copy_only=False)]
        self.kept += batch.num_rows
        for weight in self.missing_weight:
            weight.add(batch.column(weight.column), rows)
        if self.label:
            self._add_labels(self.label, batch, rows)

    def _add_labels(self, label: LabelCheck, batch: pa.RecordBatch, rows: np.ndarray) -> None:
        without = np.zeros(batch.num_rows, bool)
        for missing in self.missing_label:
            without |= missing.add(batch.column(missing.column), rows)
        labelled = batch.select([missing.column for missing in self.missing_label])
        if without.any():
            labelled, rows = labelled.filter(pa.array(~without)), rows[~without]
        label.add(labelled, rows)

    def problems(self, place: Any) -> list[Problem]:
        """Return what is wrong.

        Args:
            place: tells where the row with a given index is, such as `data.csv, line 17`.
        """
        if self.rows and not self.kept:
            received = f"steps that drop all {self.rows} rows"
            return [Problem("cleaning", received, "steps that leave some", "Loosen or remove a step.")]
        found = [_without("data.label", "label", one, place) for one in self.missing_label if one.count]
        found += [_without("data.weight", "weight", one, place) for one in self.missing_weight if one.count]
        return [*found, *(self.label.problems(place) if self.label else ())]


def _without(where: str, what: str, missing: Missing, place: Any) -> Problem:
    rows = f"{missing.count} row{'s' if missing.count > 1 else ''}"
    return Problem(
        where,
        f"{rows} without {missing.column!r} (empty or NaN) that cleaning keeps; the first is {place(missing.first)}",
        f"a {what} in every row",
        f"Drop them: cleaning: - drop_missing: [{missing.column}].",
    )
