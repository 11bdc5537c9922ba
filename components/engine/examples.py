"""Examples on disk, the one codec of all components: record batches in, record batches out, no TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.engine.decoder import NotUniform, decode_uniform
from components.engine.encoder import encode_examples, index_array
from components.engine.tfrecord import RecordWriter, read_file

__all__ = [
    "ExampleWriter",
    "decode_examples",
    "encode_examples",
    "read_batches",
    "read_records",
    "split_directory",
    "to_list_columns",
]


def split_directory(examples_uri: str | Path, split: str) -> str:
    """Return the folder of a split in TFX's layout."""
    return str(Path(examples_uri) / f"Split-{split}")


class ExampleWriter(RecordWriter):
    """Writes the one file of a split, under TFX's name.

    Args:
        directory: folder of the split; it is made.
        name: what the file's name starts with.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with ExampleWriter(folder) as writer:
        ...     writer.write(encode_examples(pa.RecordBatch.from_pydict({"fare": [2.5, None]})))
        >>> [batch.to_pydict() for batch in read_batches(folder)]
        [{'fare': [2.5, None]}]
    """

    def __init__(self, directory: str | Path, name: str = "data_tfrecord") -> None:
        super().__init__(Path(directory) / f"{name}-00000-of-00001.gz")


def read_records(directory: str | Path, batch_size: int = 16_384) -> Iterator[pa.BinaryArray]:
    """Yield the serialized records of a split, in the order of file names.

    Args:
        directory: folder of the split, as `split_directory` gives it.
        batch_size: records per array; the last one of a file has fewer.

    Raises:
        ValueError: a file is cut off or damaged.
    """
    for path in sorted(Path(directory).iterdir()):
        if path.is_file() and not path.name.startswith(".") and (path.suffix == ".gz" or "tfrecord" in path.name):
            yield from read_file(path, batch_size)


def read_batches(
    directory: str | Path, columns: Sequence[str] | None = None, batch_size: int = 16_384
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a split as flat columns; see `read_records` and `decode_examples`."""
    for records in read_records(directory, batch_size):
        yield decode_examples(records, columns)


def decode_examples(records: pa.BinaryArray, columns: Sequence[str] | None = None) -> pa.RecordBatch:
    """Parse serialized tf.Examples.

    Args:
        records: serialized tf.Examples.
        columns: what to keep, in this order; None keeps all, sorted. One that no record has becomes a null column.

    Returns:
        Columns of int64, float32 or binary, null where a value is missing; a list column where some row has several
        values; type null where no record of the batch says what kind the feature is.
    """
    found: dict[str, pa.Array] = {}
    if len(records):
        try:
            found = decode_uniform(records, None if columns is None else set(columns))
        except NotUniform:
            found = _decode_any(records)
    names = sorted(found) if columns is None else list(columns)
    arrays = [found[name] if name in found else pa.nulls(len(records)) for name in names]
    fields = [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
    if not fields:
        # A batch without columns would forget how many rows it has.
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(records), pa.struct([])))
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _decode_any(records: pa.BinaryArray) -> dict[str, pa.Array]:
    """Parse any tf.Examples, at a fifth of the speed."""
    from tfx_bsl.cc.tfx_bsl_extension.coders import ExamplesToRecordBatchDecoder

    decoded = ExamplesToRecordBatchDecoder(None).DecodeBatch(records.to_pylist())
    return {name: _flatten(decoded.column(name)) for name in decoded.schema.names}


def _flatten(column: pa.Array) -> pa.Array:
    """Turn a list column in which no row has two values into a flat one."""
    if pa.types.is_null(column.type):
        return column
    values = column.flatten()
    if pa.types.is_large_binary(values.type):
        values = values.cast(pa.binary())
    lengths = np.diff(column.offsets.to_numpy())
    lengths = (
        lengths if not column.null_count else np.where(column.is_valid().to_numpy(zero_copy_only=False), lengths, 0)
    )
    if lengths.max(initial=0) > 1:
        offsets = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        return pa.ListArray.from_arrays(index_array(offsets), values)
    if len(values) == len(lengths):
        return values
    positions = np.cumsum(lengths) - 1
    return values.take(_masked(positions, lengths > 0))


def _masked(positions: np.ndarray, valid: np.ndarray) -> pa.Int32Array:
    bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
    data = pa.py_buffer(np.where(valid, positions, 0).astype(np.int32))
    return pa.Array.from_buffers(pa.int32(), len(valid), [bits, data])


def to_list_columns(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch as TFDV and TFT want it: a list per row, empty where a value is missing.

    Args:
        batch: flat columns as `decode_examples` gives them; list columns pass, null columns stay null.

    Example:
        >>> to_list_columns(pa.RecordBatch.from_pydict({"fare": [2.5, None]})).to_pydict()
        {'fare': [[2.5], []]}
    """
    arrays = [_to_list(column) for column in batch.columns]
    fields = [pa.field(name, array.type) for name, array in zip(batch.schema.names, arrays, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


def _to_list(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_null(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return column
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if pa.types.is_floating(kind):
        column = column.cast(pa.float32())
    elif pa.types.is_integer(kind):
        column = column.cast(pa.int64())
    else:
        column = column.cast(pa.binary())
    offsets = np.zeros(len(column) + 1, np.int32)
    np.cumsum(column.is_valid().to_numpy(zero_copy_only=False), out=offsets[1:])
    return pa.ListArray.from_arrays(index_array(offsets), column.drop_null())
