"""Serialized tf.Examples to columns, all rows at once: for records that name the same features in the same order."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.engine.encoder import index_array, value_offsets

_NO_KIND, _BYTES, _FLOAT, _INT64 = 0, 0x0A, 0x12, 0x1A
_FIELD_1, _FIELD_2 = 0x0A, 0x12
_WORD = 8
_LONGEST_KEY = 127


class NotUniform(Exception):  # noqa: N818 - a reason to take the other decoder, no failure
    """The records differ in more than their values, or hold something that this decoder does not know."""


def decode_uniform(records: pa.BinaryArray, wanted: Collection[str] | None) -> dict[str, pa.Array]:
    """Return each feature as a flat column: int64, float32 or binary, null where there is no value.

    Every byte of the structure is checked, so the result is that of a protobuf parser or none at all.

    Args:
        records: serialized tf.Examples without nulls, at least one.
        wanted: names to return; None returns all.

    Raises:
        NotUniform: features or their order differ between records, a feature has several values or two kinds, or the
            bytes are something that `encode_examples` would not write.
    """
    try:
        return _Walk(records).columns(wanted)
    except (IndexError, UnicodeDecodeError) as error:
        raise NotUniform("a length or a key is damaged") from error


class _Walk:
    """Goes through all records in step: `at` is where each of them is read next."""

    def __init__(self, records: pa.BinaryArray) -> None:
        offsets = value_offsets(records).astype(np.int64)
        first, last = int(offsets[0]), int(offsets[-1])
        raw = np.frombuffer(records.buffers()[2], np.uint8)[first:last] if last else np.zeros(0, np.uint8)
        # Words are read at any place, so there must be a whole one at the last byte.
        self.data = np.concatenate([raw, np.zeros(_WORD, np.uint8)])
        self.words = np.ndarray(len(raw) + 1, "<u8", self.data, strides=(1,))
        self.floats = np.ndarray(len(raw) + 1, "<f4", self.data, strides=(1,))
        self.at = offsets[:-1] - first
        self.ends = offsets[1:] - first

    def columns(self, wanted: Collection[str] | None) -> dict[str, pa.Array]:
        self._expect(_FIELD_1)
        self._expect_length(self.ends)
        found: dict[str, pa.Array] = {}
        seen: set[str] = set()
        while not np.array_equal(self.at, self.ends):
            self._expect(_FIELD_1)
            entry = self._length()
            ends = entry + self.at
            if (ends > self.ends).any():
                raise NotUniform("an entry is longer than its record")
            name = self._key()
            if name in seen:
                raise NotUniform("a feature stands twice")
            seen.add(name)
            if wanted is None or name in wanted:
                self._expect(_FIELD_2)
                self._expect_length(ends)
                found[name] = self._values(ends)
            self.at = ends
        return found

    def _expect(self, byte: int) -> None:
        if not (self.data[self.at] == byte).all():
            raise NotUniform("another field")
        self.at = self.at + 1

    def _expect_length(self, ends: np.ndarray) -> None:
        length = self._length()
        if not np.array_equal(self.at + length, ends):
            raise NotUniform("something else follows")

    def _length(self) -> np.ndarray:
        length, self.at = _varints(self.data, self.at, longest=5)
        return length

    def _key(self) -> str:
        self._expect(_FIELD_1)
        size = int(self.data[self.at[0]])
        if size > _LONGEST_KEY or not (self.data[self.at] == size).all():
            raise NotUniform("another key")
        start = int(self.at[0]) + 1
        key = self.data[start : start + size].tobytes()
        for place in range(0, size, _WORD):
            # The last word overlaps the one before, or has its foreign bytes shifted out.
            inside = max(0, min(place, size - _WORD))
            words = self.words[self.at + 1 + inside]
            if size < _WORD:
                words = words << np.uint64(8 * (_WORD - size))
            if not (words == words[0]).all():
                raise NotUniform("another key")
        self.at = self.at + 1 + size
        return key.decode()

    def _values(self, ends: np.ndarray) -> pa.Array:
        with_kind = self.at < ends
        if not with_kind.any():
            return pa.nulls(len(ends))
        tags = self.data[self.at[with_kind]]
        tag = int(tags[0])
        if not (tags == tag).all() or tag not in {_BYTES, _FLOAT, _INT64}:
            raise NotUniform("two kinds")
        rows = np.flatnonzero(with_kind)
        length, at = _varints(self.data, self.at[rows] + 1, longest=5)
        if not np.array_equal(at + length, ends[rows]):
            raise NotUniform("something else follows")
        present = length > 0
        rows, at = rows[present], at[present]
        if not (self.data[at] == _FIELD_1).all():
            raise NotUniform("values that are not packed")
        length, at = _varints(self.data, at + 1, longest=5)
        if not np.array_equal(at + length, ends[rows]):
            raise NotUniform("several values")
        return self._column(tag, rows, at, length)

    def _column(self, tag: int, rows: np.ndarray, at: np.ndarray, length: np.ndarray) -> pa.Array:
        count = len(self.ends)
        if tag == _BYTES:
            return self._binary(rows, at, length)
        if tag == _FLOAT:
            if not (length == 4).all():
                raise NotUniform("several values")
            return _numbers(pa.float32(), self.floats[at], rows, count)
        numbers, ends = _varints(self.data, at, longest=10)
        if not np.array_equal(ends, at + length):
            raise NotUniform("several values")
        return _numbers(pa.int64(), numbers, rows, count)

    def _binary(self, rows: np.ndarray, at: np.ndarray, length: np.ndarray) -> pa.BinaryArray:
        """Cut the values out of the data: values and the gaps between them are an array, of which every other stays."""
        count = len(self.ends)
        if not len(rows):
            return pa.nulls(count, pa.binary())
        bounds = np.empty(2 * len(rows), np.int32)
        bounds[0::2], bounds[1::2] = at, at + length
        pieces = pa.Array.from_buffers(
            pa.binary(), len(bounds) - 1, [None, pa.py_buffer(bounds), pa.py_buffer(self.data)]
        )
        if len(rows) == count:
            return pc.take(pieces, index_array(np.arange(0, len(bounds), 2)), boundscheck=False)
        return pc.take(pieces, _numbers(pa.int32(), np.arange(0, len(bounds), 2), rows, count), boundscheck=False)


def _varints(data: np.ndarray, at: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a varint at each place; return the numbers and the places behind them."""
    byte = data[at]
    number = byte.astype(np.int64)
    more = np.flatnonzero(byte & 128)
    if not len(more):
        return number, at + 1
    ends = at + 1
    number[more] &= 127
    for place in range(1, longest):
        byte = data[ends[more]]
        number[more] |= (byte & 127).astype(np.int64) << (7 * place)
        ends[more] += 1
        more = more[(byte & 128) != 0]
        if not len(more):
            return number, ends
    raise NotUniform("a number of too many bytes")


def _numbers(kind: pa.DataType, values: np.ndarray, rows: np.ndarray, count: int) -> pa.Array:
    """Return a column of `count` rows with the values in these rows, and null in the others."""
    width = kind.to_pandas_dtype()
    if len(rows) == count:
        return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(np.ascontiguousarray(values, width))])
    valid = np.zeros(count, bool)
    valid[rows] = True
    full = np.zeros(count, width)
    full[rows] = values
    bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, count, [bits, pa.py_buffer(full)])
