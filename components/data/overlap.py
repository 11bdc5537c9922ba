"""Rows for evaluation that were trained on: how many are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from components.data.columns import Codes


@dataclass(frozen=True)
class Overlap:
    """How many eval rows are train rows again.

    Args:
        total: eval rows.
        equal: those that equal a train row in every column.
        equal_features: those that equal one in all features.
        same_label: those of them that have the label of such a row too.
    """

    total: int
    equal: int
    equal_features: int
    same_label: int


def overlap(splits: Mapping[str, pa.RecordBatch], features: Iterable[str], label: Mapping[str, pa.Array]) -> Overlap:
    """Count the eval rows that are train rows again.

    Args:
        splits: `train` and `eval`.
        features: the columns that the model is given.
        label: the label of each row, by split.
    """
    table = pa.concat_tables([pa.table(splits[name]) for name in ("train", "eval")], promote_options="permissive")
    first = splits["train"].num_rows
    labels = pa.chunked_array([label["train"], label["eval"]])
    columns = {name: Codes.of(table[name]).codes for name in table.column_names}
    given = [columns[name] for name in features]
    return Overlap(
        table.num_rows - first,
        _again(list(columns.values()), first),
        _again(given, first),
        _again([*given, Codes.of(labels).codes], first),
    )


def _again(columns: Sequence[np.ndarray], first: int) -> int:
    """Return how many rows from `first` on equal a row before it."""
    same = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    return int(np.isin(same[first:], same[:first]).sum())
