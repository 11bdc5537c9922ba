"""The rows that a SELECT gives from a PostgreSQL server, as columns of examples, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from components.data.arrow_types import example_type, to_example_type, type_name
from components.data.postgres_session import Session
from components.engine.encoder import encode_examples

_BATCH_ROWS = 32_768
_ROWS_FILE = "rows.arrow"
_TYPE = b"POSTGRESQL:type"
_TEXT = frozenset({"json", "jsonb", "xml"})


class PostgresTable:
    """The result of a query.

    Integers and booleans become int64, floats and numeric float32, text, json and bytea bytes, dates and times their
    ISO text in UTC, NULL a missing value. The query runs once, and its rows are kept in a file, so that all passes see
    the same rows in the same order; which order that is, only its ORDER BY says.

    Args:
        url: address of the database.
        query: one SELECT.
        work: folder for the copy of the rows; without one each pass asks the server, and `rows` is 0.

    Raises:
        SpecError: the server cannot be reached or refuses the query, or a column is of a type that no example holds.
    """

    def __init__(self, url: str, query: str, work: Path | None = None) -> None:
        self.url, self.query = url, query
        self.rows = 0
        self.copy = None if work is None else work / _ROWS_FILE
        with Session(url, query) as session:
            self.schema = _schema(session)
            self.columns = {field.name: type_name(field.type) for field in self.schema}
            if self.copy is not None:
                self._keep(session, self.copy)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, of the kept ones always in the same order."""
        wanted = self.schema.names if columns is None else list(columns)
        for batch in self._stream() if self.copy is None else self._kept(self.copy):
            yield batch.select(wanted)

    def typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch: its columns are those of examples."""
        return batch

    def records(self, batch: pa.RecordBatch) -> pa.BinaryArray:
        """Return a batch as serialized tf.Examples."""
        return encode_examples(batch)

    def _keep(self, session: Session, path: Path) -> None:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self.schema) as writer:
            for batch in self._received(session):
                writer.write_batch(batch)
                self.rows += batch.num_rows

    def _stream(self) -> Iterator[pa.RecordBatch]:
        with Session(self.url, self.query) as session:
            yield from self._received(session)

    def _kept(self, path: Path) -> Iterator[pa.RecordBatch]:
        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            for at in range(reader.num_record_batches):
                yield reader.get_batch(at)

    def _received(self, session: Session) -> Iterator[pa.RecordBatch]:
        for batch in session.batches():
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                part = batch.slice(start, _BATCH_ROWS)
                arrays = [_plain(array, field) for array, field in zip(part.columns, batch.schema, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _schema(session: Session) -> pa.Schema:
    """Return the columns as they become in examples."""
    found = []
    for field in session.schema():
        kind, name = field.type, _name(field)
        if name == "numeric":
            target = pa.float32()
        elif _is_storage_readable(kind, name):
            target = example_type(_storage(kind))
        else:
            target = None
        if target is None:
            raise session.problem(
                f"column {field.name!r} of type {name}",
                f"Make text or numbers of it in the query ({field.name}::text AS {field.name}), or leave it out.",
            )
        found.append(pa.field(field.name, target))
    return pa.schema(found)


def _name(field: pa.Field) -> str:
    """Return the type's name in PostgreSQL; an array's begins with `_` there."""
    name = (field.metadata or {}).get(_TYPE, str(field.type).encode()).decode()
    return f"{name[1:]}[]" if name.startswith("_") else name


def _is_storage_readable(kind: pa.DataType, name: str) -> bool:
    """Tell whether the values mean what they say; of other types the server sends bytes that only it understands."""
    if isinstance(kind, pa.BaseExtensionType):
        return name in _TEXT
    return not pa.types.is_nested(kind) and not pa.types.is_interval(kind)


def _storage(kind: pa.DataType) -> pa.DataType:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _plain(array: pa.Array, field: pa.Field) -> pa.Array:
    column = array.storage if isinstance(array, pa.ExtensionArray) else array
    if _name(field) == "numeric":
        column = column.cast(pa.float64())  # it arrives as digits
    return to_example_type(column)
