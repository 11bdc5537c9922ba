"""Labels before the run: are there several, and do they fit the task."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.errors import Problem
from components.expression import Expression
from components.features import Task

_WHERE = "data.label"
_ENOUGH = 3


class LabelCheck:
    """Looks at the labels of rows that have one.

    Args:
        expression: how the label is computed.
        task: what it must be good for; None when that is not known.
    """

    def __init__(self, expression: Expression, task: Task | None) -> None:
        self.expression = expression
        self.task = task
        self.is_text = False
        self.different: set[Any] = set()
        self.not_binary = 0
        self.first: tuple[int, Any] | None = None

    def add(self, batch: pa.RecordBatch, rows: np.ndarray) -> None:
        """Look at rows.

        Args:
            batch: the label's columns, no value missing.
            rows: index of each row in the whole data set.
        """
        labels = self._labels(batch) if batch.num_rows else None
        if labels is None:
            return
        self.is_text = self.is_text or pa.types.is_binary(labels.type)
        if len(self.different) < _ENOUGH:
            self.different.update(pc.unique(labels).slice(0, _ENOUGH).to_pylist())
        if self.task == "binary_classification" and pa.types.is_primitive(labels.type) and labels.type != pa.bool_():
            values = labels.to_numpy(zero_copy_only=False)
            wrong = np.flatnonzero((values != 0) & (values != 1))
            self.not_binary += len(wrong)
            if len(wrong) and self.first is None:
                self.first = int(rows[wrong[0]]), values[wrong[0]].item()

    def _labels(self, batch: pa.RecordBatch) -> pa.Array | None:
        """Return the labels; None where a column holds what the expression cannot calculate with."""
        names = self.expression.columns
        if self.expression.text.strip() == names[0]:
            column = batch.column(names[0])
            return None if pa.types.is_nested(column.type) else column
        values = {}
        for name in names:
            column = batch.column(name)
            if (name in self.expression.text_columns) != pa.types.is_binary(column.type):
                return None
            values[name] = column.to_numpy(zero_copy_only=False)
        with np.errstate(all="ignore"):
            return pa.array(np.asarray(self.expression.evaluate(values)))

    def problems(self, place: Any) -> list[Problem]:
        """Return what is wrong.

        Args:
            place: tells where the row with a given index is, such as `data.csv, line 17`.
        """
        text = self.expression.text
        if len(self.different) == 1:
            (label,) = self.different
            shown = label.decode("utf-8", "replace") if isinstance(label, bytes) else label
            received = f"the same label in every row: {text} is {shown}"
            remedy = "Check the expression, and what cleaning drops."
            return [Problem(_WHERE, received, "at least two different labels", remedy)]
        if self.is_text and self.task == "binary_classification":
            known = sorted(label for label in self.different if isinstance(label, bytes))
            yes = known[-1].decode("utf-8", "replace") if known else "yes"
            remedy = f"Compare it with the text that means yes: label: {{{text}_is_{_word(yes)}: {text} == '{yes}'}}."
            return [Problem(_WHERE, f"column {text!r}, which holds text", "true or false, or 0 or 1", remedy)]
        if self.is_text and self.task == "regression":
            return [Problem(_WHERE, f"column {text!r}, which holds text", "numbers", "Name a column of numbers.")]
        if self.first is None:
            return []
        row, value = self.first
        more = f", and {self.not_binary - 1} more" if self.not_binary > 1 else ""
        received = f"the label {value:g} in {place(row)}{more}"
        remedy = f"Compare: label: {{NAME: {text} > 0}}; or take task: multiclass_classification or regression."
        return [Problem(_WHERE, received, "0 or 1 in binary_classification", remedy)]


def _word(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text).lower()
