"""Some of the rows of a split, for members that each learn from others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from components.errors import ComponentError
from components.training.input_fn import Split

if TYPE_CHECKING:
    from components.training.columns import Columns


def in_memory(split: Split, kind: str) -> Columns:
    """Return the rows of a train split.

    Raises:
        ComponentError: they are not in memory, where an ensemble of this kind chooses among them.
    """
    if split.columns is None:
        raise ComponentError(
            f"The train split is not in memory, and {kind} chooses rows there.",
            spec_path=f"ensemble.{kind}",
            remedy="Set training.cache to always, or use voting or snapshot.",
        )
    return split.columns


def chosen(split: Split, rows: np.ndarray) -> Split:
    """Return these rows of a split in memory, in this order; a row can be there more than once."""
    if split.columns is None:
        raise TypeError("rows can be chosen in memory only")
    columns = split.columns.taken(rows)
    return replace(split, columns=columns, rows=columns.rows)
