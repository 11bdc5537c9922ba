"""Which rows belong to which slice: one slice per value of a raw column, or per combination of values of several."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.errors import ComponentError

MAX_SLICES = 1000
"""Largest number of slices that one column or group is measured on; the smallest slices beyond it are only counted."""

SliceValue = int | float | str


@dataclass(frozen=True)
class SliceGroup:
    """The slices of one column or group of columns.

    Args:
        columns: the raw columns.
        keys: the values of each slice, one per column.
        codes: `[rows]` number of each row's slice; -1 for rows in none: a value is missing, or the slice not measured.
        unmeasured: number of slices beyond `MAX_SLICES`.
        unmeasured_rows: rows of the largest of those.
    """

    columns: tuple[str, ...]
    keys: tuple[tuple[SliceValue, ...], ...]
    codes: np.ndarray
    unmeasured: int = 0
    unmeasured_rows: int = 0

    def names(self, index: int) -> dict[str, str]:
        """Return column to value, as text, of a slice."""
        return {column: str(value) for column, value in zip(self.columns, self.keys[index], strict=True)}


def slice_rows(columns: dict[str, pa.Array], group: tuple[str, ...]) -> SliceGroup:
    """Return the slices of a group of columns.

    Args:
        columns: raw columns by name; null where a value is missing.
        group: names of the columns of the group.

    Raises:
        ComponentError: a column has several values in one row.

    Example:
        >>> slice_rows({"hour": pa.array([7, 8, 7, None])}, ("hour",)).codes.tolist()
        [0, 1, 0, -1]
    """
    codes = np.zeros(len(next(iter(columns.values()))), np.int64)
    values: list[list[SliceValue]] = []
    for name in group:
        found, dictionary = _encode(name, columns[name])
        codes = np.where((codes < 0) | (found < 0), -1, codes * max(len(dictionary), 1) + found)
        values.append(dictionary)
    used, inverse, sizes = np.unique(codes[codes >= 0], return_inverse=True, return_counts=True)
    result = np.full(len(codes), -1, np.int64)
    result[codes >= 0] = inverse
    keys = [_key(int(code), values) for code in used]
    return _sorted(group, keys, result, sizes)


def _encode(name: str, column: pa.Array) -> tuple[np.ndarray, list[SliceValue]]:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        raise ComponentError(
            f"evaluation slices on column {name!r}, which has several values in some rows.",
            spec_path="evaluation.slices",
            remedy="Slice on a column with at most one value per row.",
        )
    if pa.types.is_floating(column.type):
        # Adding zero makes -0.0 and 0.0 one value.
        column = pc.add(pc.if_else(pc.is_nan(column), None, column), pa.scalar(0, column.type))
    encoded = column.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    values = encoded.dictionary.to_pylist()
    return codes, [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]


def _key(code: int, values: list[list[SliceValue]]) -> tuple[SliceValue, ...]:
    key: list[SliceValue] = []
    for dictionary in reversed(values):
        code, position = divmod(code, len(dictionary))
        key.append(dictionary[position])
    return tuple(reversed(key))


def _sorted(
    group: tuple[str, ...], keys: list[tuple[SliceValue, ...]], codes: np.ndarray, sizes: np.ndarray
) -> SliceGroup:
    largest = sorted(range(len(keys)), key=lambda index: (-sizes[index], keys[index]))
    left_out = largest[MAX_SLICES:]
    kept = sorted(largest[:MAX_SLICES], key=lambda index: keys[index])
    renumbered = np.full(len(keys) + 1, -1, np.int64)  # the last entry is what code -1 finds
    renumbered[kept] = np.arange(len(kept))
    return SliceGroup(
        columns=group,
        keys=tuple(keys[index] for index in kept),
        codes=renumbered[codes],
        unmeasured=len(left_out),
        unmeasured_rows=int(sizes[left_out[0]]) if left_out else 0,
    )
