"""What cleaning steps share: which values are missing, what kind a column is, and one key per row."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def is_missing(column: pa.Array) -> pa.BooleanArray:
    """Return True where there is no value: null or NaN.

    Example:
        >>> is_missing(pa.array([1.0, None, float("nan")], pa.float32())).to_pylist()
        [False, True, True]
    """
    return pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))


def kind_of(data_type: pa.DataType) -> str | None:
    """Return `number`, `text` or `list`; None when a batch has no value to tell by.

    Example:
        >>> kind_of(pa.float32()), kind_of(pa.binary()), kind_of(pa.null())
        ('number', 'text', None)
    """
    if pa.types.is_null(data_type):
        return None
    if pa.types.is_list(data_type) or pa.types.is_large_list(data_type):
        return "list"
    return "number" if pa.types.is_integer(data_type) or pa.types.is_floating(data_type) else "text"


def row_keys(batch: pa.RecordBatch) -> pa.BinaryArray:
    """Return bytes per row that are equal exactly when the rows hold the same values.

    A column that is missing in a row adds nothing, so batches with other columns compare too. NaN counts as missing
    and -0.0 as 0.0, which is how the values behave.

    Example:
        >>> keys = row_keys(pa.record_batch({"a": pa.array([1, 1, None]), "b": pa.array([b"x", b"x", b"x"])}))
        >>> keys[0] == keys[1], keys[0] == keys[2]
        (True, False)
    """
    empty = pa.scalar(b"", pa.binary())
    cells = [_cells(name, batch.column(name)) for name in sorted(batch.schema.names)]
    if not cells:
        return pa.array([b""] * batch.num_rows, pa.binary())
    return cells[0] if len(cells) == 1 else pc.binary_join_element_wise(*cells, empty)


def _cells(name: str, column: pa.Array) -> pa.BinaryArray:
    # Name and value each carry their length: joined cells can be read in one way only.
    empty = pa.scalar(b"", pa.binary())
    if pa.types.is_null(column.type):
        return pa.array([b""] * len(column), pa.binary())
    # Only numbers go through if_else: on a slice of a binary array, Arrow 18 gives wrong bytes.
    if pa.types.is_floating(column.type):
        column = pc.if_else(is_missing(column), pa.scalar(None, column.type), column)
    values = _bytes(column)
    lengths = _fixed_width(pc.cast(pc.binary_length(values), pa.int32()))
    label = name.encode()
    prefix = pa.scalar(struct.pack("<I", len(label)) + label + (kind_of(column.type) or "")[:1].encode(), pa.binary())
    return pc.fill_null(pc.binary_join_element_wise(prefix, lengths, values, empty), empty)


def _bytes(column: pa.Array) -> pa.BinaryArray:
    kind = kind_of(column.type)
    if kind == "text":
        return column.cast(pa.binary())
    if kind == "list":
        return pa.array([None if row is None else repr(row).encode() for row in column.to_pylist()], pa.binary())
    if pa.types.is_floating(column.type):
        return _fixed_width(pc.add(column.cast(pa.float32()), pa.scalar(0.0, pa.float32())))
    return _fixed_width(column.cast(pa.int64()))


def _fixed_width(column: pa.Array) -> pa.BinaryArray:
    width = column.type.bit_width // 8
    offsets = np.arange(0, (len(column) + 1) * width, width, dtype=np.int32)
    values = np.ascontiguousarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False))
    valid = np.packbits(column.is_valid().to_numpy(zero_copy_only=False), bitorder="little")
    buffers = [pa.py_buffer(part) for part in (valid, offsets, values)]
    return pa.Array.from_buffers(pa.binary(), len(column), buffers)
