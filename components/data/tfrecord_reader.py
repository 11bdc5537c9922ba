"""TFRecord files of tf.Examples as raw data: passed on byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from components.data.remote import file_system
from components.data.source import SourceFile
from components.engine.examples import decode_examples
from components.engine.storage import is_remote
from components.engine.tfrecord import read_file, read_stream
from components.errors import ComponentError

_SAMPLE_BATCHES = 4


class TfrecordTable:
    """TFRecord files of tf.Examples.

    Args:
        files: the files.
        count: read all files once to know the number of rows, which `split: {by: ratio}` and `time` need.

    Raises:
        ComponentError: a file is damaged, or its records are no tf.Examples.
    """

    def __init__(self, files: Sequence[SourceFile], count: bool = False) -> None:
        self.paths = [file.path for file in files]
        self.columns: dict[str, str] = {}
        self.rows = 0
        for index, records in enumerate(self.batches()):
            if index < _SAMPLE_BATCHES:
                self._learn(self.typed(records).schema)
            elif not count:
                break
            self.rows += len(records)

    def _learn(self, schema: pa.Schema) -> None:
        for field in schema:
            kind = field.type.value_type if pa.types.is_nested(field.type) else field.type
            dtype = {pa.binary(): "bytes", pa.float32(): "float32"}.get(kind, str(kind))
            dtype = "float32" if dtype == "float" else dtype
            if self.columns.get(field.name, "null") == "null":
                self.columns[field.name] = dtype

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.BinaryArray]:
        """Yield the records; columns cannot be picked before decoding."""
        del columns
        for path in self.paths:
            try:
                yield from _records(path)
            except ValueError as error:
                raise ComponentError(str(error), spec_path="data.path", remedy="Write the file again.") from error

    def typed(self, records: pa.BinaryArray, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """Return records as columns."""
        try:
            return decode_examples(records, columns)
        except (ValueError, RuntimeError) as error:
            raise ComponentError(
                f"The records of {self.paths[0]} are no tf.Examples: {error}", spec_path="data.path",
                remedy="Write them as serialized tf.train.Example, or use CSV or Parquet.",
            ) from error  # fmt: skip

    def records(self, records: pa.BinaryArray) -> pa.BinaryArray:
        """Return the records as they are."""
        return records


def _records(path: str) -> Iterator[pa.BinaryArray]:
    compressed = path.endswith(".gz")
    if not is_remote(path):
        yield from read_file(path, check=not compressed)
        return
    system, inner = file_system(path)
    stream: Any = system.open_input_stream(inner, compression="gzip" if compressed else None)
    with stream:
        yield from read_stream(stream, path, check=not compressed)
