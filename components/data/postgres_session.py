"""One read-only session of a PostgreSQL server for one query; what the server refuses says what to do about it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import pyarrow as pa

from components.catalog import nearest
from components.errors import Problem, SpecError

CONNECT_SECONDS = 10
_SETTINGS = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    # what text comes of a row must not depend on who asks
    "SET TIME ZONE 'UTC'",
    "SET extra_float_digits = 1",
    "SET DateStyle = ISO",
    "SET IntervalStyle = postgres",
    "SET bytea_output = hex",
)
_PASSWORD = "Set PGPASSWORD, or write the password into ~/.pgpass (which does not reach a container)."  # noqa: S105
_CAUSES = (
    ("no password supplied", "a password", _PASSWORD),
    ("password authentication failed", "a user and a password that the server knows", _PASSWORD),
    ("does not exist", "a database and a user that are there", "Correct the end of data.path, or the user in it."),
    ("Connection refused", "a server that answers", "Check host and port, and that the server runs."),
    ("could not translate host name", "a server that answers", "Correct the host in data.path."),
    ("SSL", "a server that agrees on encryption", "Correct sslmode in data.path, or PGSSLMODE."),
)
_TABLE, _COLUMN, _SYNTAX, _READ_ONLY = "42P01", "42703", "42601", "25006"
_UNKNOWN = re.compile(r'(?:relation|column) "?(?:[^"]*\.)?([^".]+)"? ')
_NAMES = {
    _TABLE: "SELECT c.relname::text FROM pg_class c WHERE {visible} ORDER BY 1",
    _COLUMN: "SELECT DISTINCT a.attname::text, c.relname::text"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE {visible} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1",
}
_VISIBLE = (
    "c.relkind IN ('r', 'v', 'm', 'p', 'f') AND pg_table_is_visible(c.oid)"
    " AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
)


class Session:
    """A transaction that only reads, and sees one state of the database.

    The password comes from where PostgreSQL's own programs take it: PGPASSWORD, PGPASSFILE or ~/.pgpass.

    Args:
        url: `postgresql://USER@HOST:PORT/DATABASE?sslmode=…`.
        query: one SELECT.

    Raises:
        SpecError: nobody answers, the server lets the user not in, or it refuses the query.
    """

    def __init__(self, url: str, query: str) -> None:
        self.url = url
        # the driver writes the query into brackets: a semicolon may not end it, and a comment must
        self.query = query.strip().rstrip(";").rstrip() + "\n"
        self.connection = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def schema(self) -> pa.Schema:
        """Return names and types of the columns of the query; nothing is run."""
        with self._told(), self.connection.cursor() as cursor:
            found = cursor.adbc_execute_schema(self.query)
        if not found.names:
            raise self.problem("a statement that returns no rows", "Write a SELECT.")
        twice = sorted({name for name in found.names if found.names.count(name) > 1})
        if twice:
            raise self.problem(f"column {twice[0]!r} twice", f"Give one another name: SELECT … AS {twice[0]}_2.")
        return found

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they arrive; a caller that stops early has no more of them sent."""
        with self._told(), self.connection.cursor() as cursor:
            cursor.execute(self.query)
            with cursor.fetch_record_batch() as reader:
                try:
                    yield from reader
                except GeneratorExit:
                    cursor.adbc_cancel()
                    raise

    def digest(self) -> str:
        """Return what changes with any row or column, and not with the order of rows; the server computes it.

        Two sums of 64-bit hashes and the number of rows: chance makes two of them equal once in 2**128.
        """
        sums = ", ".join(f"sum(hashtextextended(sluice_row::text, {seed}))::text" for seed in (0, 1))
        columns = [f"{field.name}:{field.type}" for field in self.schema()]
        with self._told():
            values = self._read(f"SELECT count(*)::text, {sums} FROM ({self.query}) sluice_row")[0]  # noqa: S608
        return hashlib.sha256(repr((columns, values)).encode()).hexdigest()

    def problem(self, received: str, remedy: str, where: str = "data.query") -> SpecError:
        """Return the error that the query is not right."""
        shown = " ".join(self.query.split())
        shown = shown if len(shown) <= 120 else f"{shown[:117]}…"
        expected = "a SELECT with numbers, text or times in each column"
        return SpecError([Problem(where, f"{received} ({shown}, on {self.url})", expected, remedy)])

    def _connect(self) -> Any:
        from adbc_driver_postgresql import dbapi

        url = self.url
        if "connect_timeout" not in url and "PGCONNECT_TIMEOUT" not in os.environ:
            url += f"{'&' if '?' in url else '?'}connect_timeout={CONNECT_SECONDS}"
        try:
            connection = dbapi.connect(url)
        except dbapi.Error as error:
            said = " ".join(str(error).partition("Failed to connect:")[2].split()) or str(error)
            known = (cause[1:] for cause in _CAUSES if cause[0] in said)
            expected, remedy = next(known, ("a PostgreSQL server that lets this user in", "Check the address."))
            raise SpecError([Problem("data.path", f"{self.url}: {said}", expected, remedy)]) from error
        with connection.cursor() as cursor:
            for setting in _SETTINGS:
                cursor.execute(setting)
        return connection

    def _read(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the driver says into where, what and what to do."""
        from adbc_driver_postgresql import dbapi

        try:
            yield
        except (dbapi.Error, OSError, pa.ArrowInvalid) as error:
            details = {_text(key): _text(value) for key, value in getattr(error, "details", ())}
            said = details.get("PG_DIAG_MESSAGE_PRIMARY") or " ".join(str(error).split())[:300]
            raise self.problem(said, self._remedy(getattr(error, "sqlstate", None), said)) from error

    def _remedy(self, state: str | None, said: str) -> str:
        if state == _READ_ONLY:
            return "Write a SELECT; the session can only read."
        unknown = _UNKNOWN.search(said)
        if state not in _NAMES or unknown is None:
            return (
                "Correct the query; it is one SELECT." if state else "Correct the query, or look at the server's log."
            )
        self.connection.rollback()
        rows = self._read(_NAMES[state].format(visible=_VISIBLE))
        lower = self.query.lower()
        known = list(dict.fromkeys(row[0] for row in rows if len(row) == 1 or row[1].lower() in lower))
        guess = nearest(unknown[1], known)
        kind = "tables" if state == _TABLE else "columns"
        return f"Did you mean {guess!r}?" if guess else f"The {kind} are {', '.join(known[:20]) or 'none'}."


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
