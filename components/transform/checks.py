"""Refuse transformed rows that have no label or no weight."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.engine.examples import read_batches, split_directory
from components.errors import ComponentError
from components.expression import Expression
from components.features import LABEL, WEIGHT
from components.transform.outputs import NO_LABEL

BATCH_ROWS = 131_072


class RowCheck:
    """Counts the rows without a label or a weight while they go by, and stops the run when there are any.

    Args:
        config: the component's config.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._columns = config["columns"]
        self._task = config["task"]
        self.wanted = [LABEL, WEIGHT] if self._columns["weight"] else [LABEL]
        self._without: collections.Counter[tuple[str, str]] = collections.Counter()

    def see(self, split: str, values: Mapping[str, np.ndarray]) -> None:
        """Count in some rows of a split; `values` has at least the columns `wanted`."""
        for name in self.wanted:
            column = values[name]
            missing = np.isnan(column) if column.dtype.kind == "f" else column == NO_LABEL
            self._without[split, name] += int(missing.sum())

    def stop(self) -> None:
        """Raise a ComponentError that says how many rows have none, in which split, and what to do."""
        expression = Expression(self._columns["label"]["expression"])
        for (split, name), count in self._without.items():
            if count and name == LABEL:
                raise ComponentError(_message(count, split, expression, self._task), **_remedy(expression))
            if count:
                weight = self._columns["weight"]
                raise ComponentError(
                    f"In {count:,} rows of the split {split} the weight {weight!r} is missing or negative.",
                    spec_path="data.weight",
                    remedy=f"Drop them: cleaning: - drop_missing: [{weight}].",
                )


def check_labels(transformed: str, splits: Sequence[str], config: Mapping[str, Any]) -> None:
    """Read the labels and weights of transformed examples back and look at them.

    Args:
        transformed: folder of the transformed Examples artifact.
        splits: names of its splits.
        config: the component's config.

    Raises:
        ComponentError: some rows have none.
    """
    check = RowCheck(config)
    for split in splits:
        for batch in read_batches(split_directory(transformed, split), check.wanted, BATCH_ROWS):
            check.see(split, {name: batch.column(name).to_numpy(zero_copy_only=False) for name in check.wanted})
    check.stop()


def _message(count: int, split: str, expression: Expression, task: str) -> str:
    reasons = {
        "binary_classification": "a column is missing, the result is not finite, or it is neither 0 nor 1",
        "multiclass_classification": "a column is missing, or the class is one that no training row has",
        "regression": "a column is missing, or the result is not finite",
    }
    return f"In {count:,} rows of the split {split} the label {expression.text!r} cannot be computed: {reasons[task]}."


def _remedy(expression: Expression) -> dict[str, str]:
    drop = f"Drop such rows: cleaning: - drop_missing: [{', '.join(expression.columns)}], or - keep_values for classes"
    compare = f"; write what counts as 1, as in {expression.text} > 0" if not expression.is_boolean else ""
    return {"spec_path": "data.label", "remedy": f"{drop}{compare}."}
