"""Columns to serialized tf.Examples with Arrow kernels: no Python per row, and the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Field numbers of tf.Feature's one-of: https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example
_BYTES, _FLOAT, _INT64 = b"\x0a", b"\x12", b"\x1a"
_MAX_VARINT = 10


def encode_examples(batch: pa.RecordBatch) -> pa.BinaryArray:
    r"""Return one serialized tf.Example per row, byte for byte what `SerializeToString(deterministic=True)` gives.

    A missing value becomes a feature of its kind with no value, as in TFX's CsvExampleGen; a column of type null
    becomes a feature of no kind.

    Args:
        batch: columns of integers, floats (kept as float32), strings or binary, dictionaries of them, lists of
            them, or null. All its rows must take less than 2 GiB when encoded.

    Raises:
        TypeError: a column has a type that tf.Example cannot hold.

    Example:
        >>> encode_examples(pa.RecordBatch.from_pydict({"a": [1]})).to_pylist()
        [b'\n\x0c\n\n\n\x01a\x12\x05\x1a\x03\n\x01\x01']
    """
    if not batch.num_columns:
        return binary_array([b""] * batch.num_rows)
    entries = [column_entries(name, batch.column(name)) for name in sorted(batch.schema.names, key=str.encode)]
    body = pc.binary_join_element_wise(*entries, b"")
    return pc.binary_join_element_wise(by_length(body, lambda length: b"\x0a" + varint(length)), body, b"")


def column_entries(name: str, column: pa.Array) -> pa.BinaryArray:
    """Return the serialized map entry of one column for each row: its key, and its value or none."""
    kind = column.type
    if pa.types.is_null(kind):
        return _repeat(_entry_head(name, b"", None), len(column))
    if _is_list(kind):
        return _list_entries(name, column)
    if pa.types.is_nested(kind):
        raise TypeError(f"tf.Example holds integers, floats and bytes, not {kind}")
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    values = column.dictionary
    tag, payloads = _payloads(values)
    entries = pc.binary_join_element_wise(
        by_length(payloads, lambda length: _entry_head(name, tag, length)), payloads, b""
    )
    if values.null_count:
        entries = pc.if_else(values.is_valid(), entries, None)
    if not len(entries):
        return _repeat(_entry_head(name, tag, None), len(column))
    rows = pc.take(entries, column.indices, boundscheck=False)
    return pc.fill_null(rows, _entry_head(name, tag, None)) if rows.null_count else rows


def column_features(column: pa.Array) -> pa.BinaryArray:
    """Return each row's serialized tf.Feature of one flat column: what TFX hashes when it splits by a feature."""
    if pa.types.is_null(column.type):
        return _repeat(b"", len(column))
    if pa.types.is_nested(column.type):
        raise TypeError(f"rows are split by single values, not by {column.type}")
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    tag, payloads = _payloads(column.dictionary)
    features = pc.binary_join_element_wise(
        by_length(payloads, lambda length: _feature_head(tag, length)), payloads, b""
    )
    if not len(features):
        return _repeat(_feature_head(tag, None), len(column))
    if column.dictionary.null_count:
        features = pc.if_else(column.dictionary.is_valid(), features, None)
    return pc.fill_null(pc.take(features, column.indices, boundscheck=False), _feature_head(tag, None))


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it: 7 bits a byte, low ones first; 64-bit two's complement below zero."""
    number &= (1 << 64) - 1
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    written.append(number)
    return bytes(written)


def by_length(values: pa.BinaryArray, make: Callable[[int], bytes]) -> pa.BinaryArray:
    """Return `make(length of the value)` for each value, computed once per different length."""
    lengths = value_lengths(values)
    different, positions = _unique(lengths)
    made = binary_array([make(int(length)) for length in different])
    return pc.take(made, index_array(positions), boundscheck=False)


def binary_array(values: Sequence[bytes]) -> pa.BinaryArray:
    """Return the values as an Arrow array; `pa.array` would import pandas, which takes a third of a second."""
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    return _from_offsets(offsets, b"".join(values))


def index_array(positions: np.ndarray) -> pa.Int32Array:
    """Return 32-bit positions as an Arrow array, without pandas too."""
    data = np.ascontiguousarray(positions, np.int32)
    return pa.Array.from_buffers(pa.int32(), len(data), [None, pa.py_buffer(data)])


def _from_offsets(offsets: np.ndarray, data: Any) -> pa.BinaryArray:
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def value_lengths(values: pa.BinaryArray) -> np.ndarray:
    """Return the number of bytes of each value."""
    return np.diff(value_offsets(values))


def value_offsets(values: pa.BinaryArray) -> np.ndarray:
    """Return where each value starts in the array's buffer, and where the last one ends."""
    return np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]


def _unique(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    largest = int(lengths.max(initial=0))
    if largest > 1 << 20:
        different, positions = np.unique(lengths, return_inverse=True)
        return different, positions.astype(np.int32)
    # A table over all lengths beats sorting them, unless some value is huge.
    seen = np.zeros(largest + 1, bool)
    seen[lengths] = True
    different = np.flatnonzero(seen)
    table = np.zeros(largest + 1, np.int32)
    table[different] = np.arange(len(different))
    return different, table[lengths]


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _repeat(value: bytes, count: int) -> pa.BinaryArray:
    return pc.take(binary_array([value]), index_array(np.zeros(count)), boundscheck=False)


def _entry_head(name: str, tag: bytes, payload: int | None) -> bytes:
    """Return all bytes of a map entry before its payload; every length in it follows from the payload's."""
    value = _feature_head(tag, payload)
    key = name.encode()
    head = b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(value) + (payload or 0)) + value
    return b"\x0a" + varint(len(head) + (payload or 0)) + head


def _feature_head(tag: bytes, payload: int | None) -> bytes:
    """Return all bytes of a tf.Feature before its payload."""
    if not tag:
        return b""
    if payload is None:
        return tag + b"\x00"
    inner = b"\x0a" + varint(payload)
    return tag + varint(len(inner) + payload) + inner


def _payloads(values: pa.Array) -> tuple[bytes, pa.BinaryArray]:
    """Return the tag of the kind and each value's bytes (empty for null, which the caller masks)."""
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return _INT64, _int_payloads(pc.fill_null(values.cast(pa.int64()), 0).to_numpy(zero_copy_only=False))
    if pa.types.is_floating(kind):
        numbers = pc.fill_null(values.cast(pa.float32(), safe=False), 0.0).to_numpy(zero_copy_only=False)
        return _FLOAT, _fixed_width(numbers.astype("<f4").view(np.uint8).reshape(-1, 4))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = values.cast(pa.string()).cast(pa.binary())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        values = values.cast(pa.binary())
    else:
        raise TypeError(f"tf.Example holds integers, floats and bytes, not {kind}")
    return _BYTES, pc.fill_null(values, b"") if values.null_count else values


def _int_payloads(numbers: np.ndarray) -> pa.BinaryArray:
    """Return the varint of each number, all computed at once."""
    left = numbers.astype(np.int64).view(np.uint64)
    digits = np.empty((len(left), _MAX_VARINT), np.uint8)
    lengths = np.ones(len(left), np.int64)
    for place in range(_MAX_VARINT):
        digits[:, place] = left & np.uint64(127)
        left = left >> np.uint64(7)
        lengths += left != 0
    lengths = np.minimum(lengths, _MAX_VARINT)
    places = np.arange(_MAX_VARINT)
    digits |= np.where(places < lengths[:, None] - 1, np.uint8(128), np.uint8(0))
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return _from_offsets(offsets, digits[places < lengths[:, None]])


def _fixed_width(rows: np.ndarray) -> pa.BinaryArray:
    count, width = rows.shape
    offsets = np.arange(0, (count + 1) * width, width, dtype=np.int32)
    return _from_offsets(offsets, np.ascontiguousarray(rows))


def _list_entries(name: str, column: pa.Array) -> pa.BinaryArray:
    """Encode rows of several values: vectors at once, lists of any other kind one by one, since they are rare."""
    kind = column.type.value_type
    if pa.types.is_null(kind):
        return _repeat(_entry_head(name, b"", None), len(column))
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tag, _ = _payloads(pa.nulls(0, kind))
    if tag == _FLOAT and (width := _width(column)):
        values = np.ascontiguousarray(column.flatten().to_numpy(zero_copy_only=False), "<f4")
        head = np.frombuffer(_entry_head(name, tag, 4 * width), np.uint8)
        heads = np.broadcast_to(head, (len(column), len(head)))
        return _fixed_width(np.hstack([heads, values.view(np.uint8).reshape(len(column), 4 * width)]))
    written = [_list_entry(name, tag, values) for values in column.to_pylist()]
    return binary_array(written)


def _width(column: pa.Array) -> int:
    """Return how many values each row has, or 0 where rows differ, or some row or value is missing."""
    if (
        not len(column)
        or column.null_count
        or column.flatten().null_count
        or pa.types.is_dictionary(column.type.value_type)
    ):
        return 0
    lengths = pc.min_max(pc.list_value_length(column))
    return lengths["min"].as_py() if lengths["min"] == lengths["max"] else 0


def _list_entry(name: str, tag: bytes, values: list | None) -> bytes:
    values = [value for value in values or () if value is not None]
    if not values:
        return _entry_head(name, tag, None)
    if tag == _INT64:
        payload = b"".join(varint(int(value)) for value in values)
    elif tag == _FLOAT:
        payload = np.asarray(values).astype("<f4").tobytes()
    else:
        return _bytes_list_entry(name, [value.encode() if isinstance(value, str) else value for value in values])
    return _entry_head(name, tag, len(payload)) + payload


def _bytes_list_entry(name: str, values: list[bytes]) -> bytes:
    items = b"".join(b"\x0a" + varint(len(value)) + value for value in values)
    value = _BYTES + varint(len(items)) + items
    key = name.encode()
    body = b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(value)) + value
    return b"\x0a" + varint(len(body)) + body
