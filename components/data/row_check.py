"""What must hold for the rows that cleaning keeps: each has a label, and not all labels are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.config import DataConfig
from components.errors import Problem
from components.expression import Expression

_ENOUGH_LABELS = 3


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
        steps: the cleaning steps, those that look at one row at a time.
        names: the columns that the data have.
    """

    def __init__(self, data: DataConfig, steps: Sequence[Any], names: Sequence[str]) -> None:
        self.steps = [step for step in steps if not hasattr(step, "key") and set(step.needed_columns()) <= set(names)]
        self.expression = Expression(data.label.expression)
        self.label_name = data.label.name
        has_label = set(self.expression.columns) <= set(names)
        self.missing_label = [Missing(name) for name in self.expression.columns] if has_label else []
        self.missing_weight = [Missing(data.weight)] if data.weight in names and data.weight else []
        self.rows = 0
        self.kept = 0
        self.labels: set[Any] = set()
        wanted = {missing.column for missing in (*self.missing_label, *self.missing_weight)}
        self.every_column = any(not step.needed_columns() for step in self.steps)
        self.columns = {*wanted, *(name for step in self.steps for name in step.needed_columns())}

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
        without = np.zeros(batch.num_rows, bool)
        for missing in self.missing_label:
            without |= missing.add(batch.column(missing.column), rows)
        if self.missing_label and len(self.labels) < _ENOUGH_LABELS:
            self._learn(batch.filter(pa.array(~without)) if without.any() else batch)

    def _learn(self, batch: pa.RecordBatch) -> None:
        """Add the different labels of rows that have one."""
        if not batch.num_rows:
            return
        columns = self.expression.columns
        if self.expression.text == columns[0]:
            self.labels.update(pc.unique(batch.column(columns[0])).slice(0, _ENOUGH_LABELS).to_pylist())
            return
        values = {}
        for name in columns:
            column = batch.column(name)
            if (name in self.expression.text_columns) != pa.types.is_binary(column.type):
                return
            values[name] = column.to_numpy(zero_copy_only=False)
        with np.errstate(all="ignore"):
            results = np.unique(np.asarray(self.expression.evaluate(values)))
        self.labels.update(results[:_ENOUGH_LABELS].tolist())

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
        if self.missing_label and len(self.labels) == 1:
            (label,) = self.labels
            shown = label.decode("utf-8", "replace") if isinstance(label, bytes) else label
            received = f"the same label in every row: {self.expression.text} is {shown}"
            remedy = "Check the expression, and what cleaning drops."
            found.append(Problem("data.label", received, "at least two different labels", remedy))
        return found


def _without(where: str, what: str, missing: Missing, place: Any) -> Problem:
    rows = f"{missing.count} row{'s' if missing.count > 1 else ''}"
    return Problem(
        where,
        f"{rows} without {missing.column!r} (empty or NaN) that cleaning keeps; the first is {place(missing.first)}",
        f"a {what} in every row",
        f"Drop them: cleaning: - drop_missing: [{missing.column}].",
    )
