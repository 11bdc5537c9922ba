"""The rows that a SELECT gives from an SQLite database, as columns of examples, in bounded memory."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from components.catalog import nearest
from components.engine.encoder import encode_examples
from components.errors import Problem, SpecError

_BATCH_ROWS = 32_768
_KINDS = {int: "int64", float: "float32", bytes: "bytes", str: "bytes", type(None): "null"}
_UNKNOWN = re.compile(r"no such (table|column): (?:.*\.)?(.+)$")


class SqliteTable:
    """The result of a query.

    Integers become int64, floats float32, text and blobs bytes, NULL a missing value. SQLite lets a column hold values
    of several types: integers and floats become floats, numbers and text are refused.
    The database is opened for reading only; all passes see the same state of it, whatever others write meanwhile.

    Args:
        path: the database file.
        query: a SELECT; without ORDER BY the rows come in SQLite's own order.

    Raises:
        SpecError: the file is no database, the query is none or names what is not there, or a column mixes kinds.
    """

    def __init__(self, path: str, query: str) -> None:
        self.path, self.query = path, query
        try:
            self.connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, check_same_thread=False)
            self.connection.isolation_level = None
            self.connection.execute("BEGIN")
            self.connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            expected, remedy = "an SQLite database", "Check the path and the file."
            raise SpecError([Problem("data.path", f"{path}: {error}", expected, remedy)]) from error
        self.names = self._result_columns()
        self.rows = 0
        self.columns = self._kinds()

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the order of the query."""
        wanted = [self.names.index(name) for name in (self.names if columns is None else columns)]
        for rows in self._fetch():
            arrays = [self._array(self.names[at], [row[at] for row in rows]) for at in wanted]
            yield pa.RecordBatch.from_arrays(arrays, names=[self.names[at] for at in wanted])

    def typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch: its columns are those of examples."""
        return batch

    def records(self, batch: pa.RecordBatch) -> pa.BinaryArray:
        """Return a batch as serialized tf.Examples."""
        return encode_examples(batch)

    def _result_columns(self) -> list[str]:
        cursor = self._execute()
        names = [column[0] for column in cursor.description or ()]
        cursor.close()
        if not names:
            raise self._problem("a statement that returns no rows", "Write a SELECT.")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise self._problem(f"column {twice[0]!r} twice", f"Give one another name: SELECT … AS {twice[0]}_2.")
        return names

    def _execute(self) -> sqlite3.Cursor:
        try:
            return self.connection.execute(self.query)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise self._problem(str(error), self._remedy(str(error))) from error

    def _remedy(self, message: str) -> str:
        unknown = _UNKNOWN.search(message)
        if not unknown:
            return "Correct the query; it can only read."
        tables = [row[0] for row in self.connection.execute("SELECT name FROM sqlite_master WHERE type != 'index'")]
        known = tables
        if unknown[1] == "column":
            known = [
                row[1]
                for table in tables
                if table.lower() in self.query.lower()
                for row in self.connection.execute("SELECT * FROM pragma_table_info(?)", [table]).fetchall()
            ]
        guess = nearest(unknown[2], known)
        shown = ", ".join(dict.fromkeys(known)) or "none"
        return f"Did you mean {guess!r}?" if guess else f"The {unknown[1]}s are {shown}."

    def _fetch(self) -> Iterator[list[tuple[Any, ...]]]:
        cursor = self._execute()
        try:
            while rows := cursor.fetchmany(_BATCH_ROWS):
                yield rows
        except sqlite3.Error as error:
            raise self._problem(str(error), "Correct the query, or repair the database.") from error
        finally:
            cursor.close()

    def _kinds(self) -> dict[str, str]:
        """Read all rows once to know the type of each column."""
        found: dict[str, set[str]] = {name: set() for name in self.names}
        for rows in self._fetch():
            for at, name in enumerate(self.names):
                kinds = {_KINDS[kind] for kind in {type(row[at]) for row in rows}}
                self._check_kinds(name, at, found[name] | kinds, rows)
                found[name] |= kinds
            self.rows += len(rows)
        order = ("bytes", "float32", "int64", "null")
        return {name: next((kind for kind in order if kind in kinds), "null") for name, kinds in found.items()}

    def _check_kinds(self, name: str, at: int, kinds: set[str], rows: list[tuple[Any, ...]]) -> None:
        if "bytes" not in kinds or not kinds & {"int64", "float32"}:
            return
        # The rarer kind of this batch is shown; where it has one kind, an earlier batch had the other.
        texts = [place for place, row in enumerate(rows) if isinstance(row[at], str | bytes)]
        others = [place for place, row in enumerate(rows) if isinstance(row[at], int | float)]
        place = min((group for group in (texts, others) if group), key=len)[0]
        raise self._problem(
            f"column {name!r} with both numbers and text, {rows[place][at]!r} in row {self.rows + place + 1}",
            f"Convert it in the query: CAST({name} AS REAL) or CAST({name} AS TEXT).",
        )

    def _array(self, name: str, values: list[Any]) -> pa.Array:
        kind = self.columns[name]
        if kind == "null":
            return pa.nulls(len(values))
        if kind == "bytes":
            return pa.array([value.encode() if isinstance(value, str) else value for value in values], pa.binary())
        if kind == "int64":
            return pa.array(values, pa.int64())
        return pa.array([None if value is None else float(value) for value in values], pa.float64()).cast(
            pa.float32(), safe=False
        )

    def _problem(self, received: str, remedy: str) -> SpecError:
        shown = " ".join(self.query.split())
        shown = shown if len(shown) <= 120 else f"{shown[:117]}…"
        expected = "a SELECT with one kind of value in each column"
        return SpecError([Problem("data.query", f"{received} ({shown}, on {self.path})", expected, remedy)])
