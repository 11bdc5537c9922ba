"""TFRecord files without TensorFlow: framed and checked in bulk, compressed with ISA-L."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from isal import igzip, igzip_lib, isal_zlib

from components.engine.encoder import by_length

_checksum = google_crc32c.value
_HEADER, _FOOTER = 12, 4  # length and its checksum before a record, the record's checksum after it
_LENGTH = struct.Struct("<Q")
_GZIP_WINDOW = 31  # a gzip stream, which has no time stamp in its header here: same records, same file
_READ_BYTES = 1 << 22


def frame(records: pa.BinaryArray, payloads: Sequence[bytes] | None = None) -> pa.Buffer:
    """Return records as the content of an uncompressed TFRecord file.

    Args:
        records: serialized records, no nulls.
        payloads: the same as Python bytes, when the caller has them already.
    """
    if not len(records):
        return pa.py_buffer(b"")
    if payloads is None:
        payloads = records.to_pylist()
    sums = np.fromiter(map(_checksum, payloads), np.uint32, len(records))
    offsets = np.arange(0, _FOOTER * (len(records) + 1), _FOOTER, dtype=np.int32)
    footers = pa.Array.from_buffers(
        pa.binary(), len(records), [None, pa.py_buffer(offsets), pa.py_buffer(_mask(sums).astype("<u4"))]
    )
    framed = pc.binary_join_element_wise(by_length(records, _header), records, footers, b"")
    data = framed.buffers()[2]
    return data.slice(0, int(np.frombuffer(framed.buffers()[1], np.int32)[len(records)]))


def _mask(sums: np.ndarray) -> np.ndarray:
    wide = sums.astype(np.uint64)
    return ((wide >> 15 | wide << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _header(length: int) -> bytes:
    packed = _LENGTH.pack(length)
    return packed + struct.pack("<I", int(_mask(np.array([_checksum(packed)]))[0]))


class RecordWriter:
    """Writes one gzipped TFRecord file; it appears under its name only when everything is in it.

    Args:
        path: the file; its folder is made.
        level: compression level of ISA-L, 0 to 3. At 1 it is faster than writing uncompressed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "x.gz")
        >>> with RecordWriter(path) as writer:
        ...     writer.write(pa.array([b"one", b"two"]))
        >>> [records.to_pylist() for records in read_file(path)]
        [[b'one', b'two']]
    """

    def __init__(self, path: str | Path, level: int = 1) -> None:
        self.path = Path(path)
        self.count = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        self._level = level
        self._file: IO[bytes] | None = None
        self._compressor: Any = None

    def __enter__(self) -> RecordWriter:
        self._file = self._partial.open("wb")
        self._compressor = isal_zlib.compressobj(self._level, isal_zlib.DEFLATED, _GZIP_WINDOW)
        return self

    def write(self, records: pa.BinaryArray, payloads: Sequence[bytes] | None = None) -> None:
        """Append records; see `frame`."""
        self.write_framed(frame(records, payloads), len(records))

    def write_framed(self, framed: pa.Buffer, count: int) -> None:
        """Append what `frame` made of `count` records."""
        if self._file is None:
            raise ValueError("a writer is used in a with statement")
        self._file.write(self._compressor.compress(framed))
        self.count += count

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        with self._file as file:
            if kind is None:
                file.write(self._compressor.flush())
        if kind is None:
            os.replace(self._partial, self.path)
        else:
            self._partial.unlink(missing_ok=True)


def read_file(path: str | Path, batch_size: int = 16_384, check: bool = False) -> Iterator[pa.BinaryArray]:
    """Yield the records of a TFRecord file, gzipped if its name ends in .gz.

    Args:
        path: the file.
        batch_size: records per array.
        check: verify each record's checksum. Gzip has one of its own, so this is for uncompressed files.

    Raises:
        ValueError: the file is cut off, damaged or not a TFRecord.
    """
    opened = igzip.open(path, "rb") if str(path).endswith(".gz") else open(path, "rb")  # noqa: SIM115
    with opened as stream:
        yield from read_stream(stream, str(path), batch_size, check)


def read_stream(stream: Any, name: str, batch_size: int = 16_384, check: bool = False) -> Iterator[pa.BinaryArray]:
    """Yield the records of an uncompressed TFRecord stream; see `read_file`."""
    pending: list[pa.BinaryArray] = []
    waiting, rest = 0, b""
    while chunk := _read(stream, name):
        data = rest + chunk if rest else chunk
        offsets = _frame_offsets(data, name)
        rest = data[offsets[-1] :]
        if len(offsets) > 1:
            pending.append(_unframe(data, offsets, name, check))
            waiting += len(offsets) - 1
        if waiting >= batch_size:
            joined = pa.concat_arrays(pending)
            whole = waiting - waiting % batch_size
            yield from (joined.slice(start, batch_size) for start in range(0, whole, batch_size))
            pending, waiting = [joined.slice(whole)], waiting - whole
    if rest:
        raise ValueError(f"{name} ends in the middle of a record; it was cut off or is not a TFRecord file")
    if waiting:
        yield pa.concat_arrays(pending)


def _read(stream: Any, name: str) -> bytes:
    try:
        return bytes(stream.read(_READ_BYTES))
    except (EOFError, OSError, igzip_lib.IsalError) as error:  # type: ignore[misc] # the stub is wrong
        raise ValueError(f"{name} cannot be read: {error}") from error


def _frame_offsets(data: bytes, name: str) -> list[int]:
    """Return the start of each whole frame in `data`, and the end of the last one."""
    offsets, position, end = [0], 0, len(data)
    unpack = _LENGTH.unpack_from
    while position + _HEADER <= end:
        (length,) = unpack(data, position)
        if length > 1 << 31:
            raise ValueError(f"{name} is damaged or is not a TFRecord file (a record of {length} bytes)")
        position += length + _HEADER + _FOOTER
        if position > end:
            break
        offsets.append(position)
    return offsets


def _unframe(data: bytes, offsets: list[int], name: str, check: bool) -> pa.BinaryArray:
    count = len(offsets) - 1
    bounds = pa.py_buffer(np.array(offsets, np.int32))
    framed = pa.Array.from_buffers(pa.binary(), count, [None, bounds, pa.py_buffer(data)])
    records = pc.binary_slice(framed, _HEADER, -_FOOTER)
    if check:
        sums = np.fromiter(map(_checksum, records.to_pylist()), np.uint32, count)
        stored = b"".join(pc.binary_slice(framed, -_FOOTER, None).to_pylist())
        if not np.array_equal(_mask(sums), np.frombuffer(stored, "<u4")):
            raise ValueError(f"{name} is damaged: the checksum of a record does not match")
    return records
