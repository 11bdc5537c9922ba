"""Refuse transformed rows that have no label or no weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from components.engine.examples import read_batches, split_directory
from components.errors import ComponentError
from components.expression import Expression
from components.features import LABEL, WEIGHT
from components.transform.outputs import NO_LABEL

BATCH_ROWS = 131_072


def check_labels(transformed: str, splits: Sequence[str], config: dict[str, Any]) -> None:
    """Read the labels and weights of transformed examples back and look at them.

    Args:
        transformed: folder of the transformed Examples artifact.
        splits: names of its splits.
        config: the component's config.

    Raises:
        ComponentError: some rows have none; says how many, in which split, and what to do.
    """
    columns = config["columns"]
    expression = Expression(columns["label"]["expression"])
    wanted = [LABEL, WEIGHT] if columns["weight"] else [LABEL]
    for split in splits:
        without = dict.fromkeys(wanted, 0)
        for batch in read_batches(split_directory(transformed, split), wanted, BATCH_ROWS):
            for name in wanted:
                values = batch.column(name).to_numpy(zero_copy_only=False)
                missing = np.isnan(values) if values.dtype.kind == "f" else values == NO_LABEL
                without[name] += int(missing.sum())
        if without[LABEL]:
            raise ComponentError(_message(without[LABEL], split, expression, config["task"]), **_remedy(expression))
        if without.get(WEIGHT):
            raise ComponentError(
                f"In {without[WEIGHT]:,} rows of the split {split} the weight {columns['weight']!r} is missing or "
                "negative.",
                spec_path="data.weight",
                remedy=f"Drop them: cleaning: - drop_missing: [{columns['weight']}].",
            )


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
