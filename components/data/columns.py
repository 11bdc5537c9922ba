"""Columns of examples as numpy arrays: numbers, or a code for each different value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Codes:
    """A column as small integers: equal codes, equal values.

    Args:
        codes: one per row; -1 where the value is missing (null or NaN).
        distinct: how many different values there are.

    Example:
        >>> Codes.of(pa.array([b"x", None, b"y", b"x"]))
        Codes(codes=array([ 0, -1,  1,  0]), distinct=2)
    """

    codes: np.ndarray
    distinct: int

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return int((self.codes >= 0).sum())

    @classmethod
    def of(cls, column: pa.Array | pa.ChunkedArray) -> Codes:
        """Return the codes of a column; a row of several values counts as one value."""
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if pa.types.is_null(column.type):
            return cls(np.full(len(column), -1), 0)
        if pa.types.is_nested(column.type):
            column = pa.array([None if row is None else repr(row) for row in column.to_pylist()], pa.string())
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        encoded = column.dictionary_encode()
        return cls(pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64), len(encoded.dictionary))


def numbers(column: pa.Array) -> np.ndarray | None:
    """Return float64 values, NaN where missing; None for a column that does not hold numbers.

    Example:
        >>> numbers(pa.array([1, None]))
        array([ 1., nan])
    """
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return None
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
