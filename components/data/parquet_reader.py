"""Parquet files as columns of examples, row group by row group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.data.arrow_types import example_type, to_example_type, type_name
from components.data.remote import file_system
from components.data.source import SourceFile
from components.engine.encoder import encode_examples
from components.engine.storage import is_remote
from components.errors import Problem, SpecError

_BATCH_ROWS = 32_768


class ParquetTable:
    """Parquet files that share a schema.

    Integers and booleans become int64, floats and decimals float32, text and binary bytes, dates and times their ISO
    text, lists of these keep their values.

    Args:
        files: the files; their metadata is read at once.

    Raises:
        SpecError: a file is no Parquet, differs from the first one, or has a column that an example cannot hold.
    """

    def __init__(self, files: Sequence[SourceFile]) -> None:
        self.paths = [file.path for file in files]
        self.rows = 0
        self.columns: dict[str, str] = {}
        for path in self.paths:
            with _open(path) as file:
                columns = {field.name: _dtype(field, path) for field in file.schema_arrow}
                self.rows += file.metadata.num_rows
            if self.columns and columns != self.columns:
                odd = sorted({name for name, _ in columns.items() ^ self.columns.items()})
                raise _problem(
                    path, f"other columns than in {self.paths[0]} ({', '.join(odd)})", "the same columns in every file",
                    "Make the schemas equal, or narrow data.path.",
                )  # fmt: skip
            self.columns = columns

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they are stored."""
        for path in self.paths:
            with _open(path) as file:
                yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=None if columns is None else list(columns))

    def typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch as int64, float32 or binary columns, or lists of these."""
        arrays = [to_example_type(column) for column in batch.columns]
        return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)

    def records(self, batch: pa.RecordBatch) -> pa.BinaryArray:
        """Return a batch as serialized tf.Examples."""
        return encode_examples(self.typed(batch))


def _open(path: str) -> Any:
    try:
        if is_remote(path):
            system, inner = file_system(path)
            return pq.ParquetFile(inner, filesystem=system)
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise _problem(
            path, f"no Parquet file ({error})", "Parquet", "Check data.format, or write it again."
        ) from error


def _dtype(field: pa.Field, path: str) -> str:
    kind = field.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    target = example_type(kind)
    if target is None:
        raise _problem(
            path,
            f"column {field.name!r} of type {field.type}",
            "numbers, text, dates, or lists of one of these",
            f"Write the parts of {field.name} as columns of their own, or leave it out.",
        )
    return type_name(target)


def _problem(path: str, received: str, expected: str, remedy: str) -> SpecError:
    return SpecError([Problem("data.path", received, expected, remedy, path)])
