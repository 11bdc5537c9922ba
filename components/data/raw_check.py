"""One quick look through the raw files for what is certain to go wrong; slow looks only where something does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from components.data import bad_rows, csv_reader
from components.data.config import DataConfig
from components.data.csv_check import CsvCheck
from components.data.database import is_server
from components.data.ingest import open_table
from components.data.row_check import RowCheck
from components.data.source import SourceFile, data_format
from components.engine.storage import is_remote
from components.errors import ComponentError, Problem, SpecError
from components.features import Task

if TYPE_CHECKING:
    from components.cleaning.config import CleaningConfig

LOOK_AT_MOST = 1 << 30
"""Bytes of local data that are looked at; more would keep the user waiting."""

FETCH_AT_MOST = 1 << 26
"""The same for data on other machines."""

_NUMBERS = frozenset({"int64", "float32", "null"})


class RawCheck:
    """The look; `run` takes it.

    Args:
        data: section `data`.
        cleaning: section `cleaning`.
        files: the raw files.
        task: what the label must be good for; None when that is not known.

    Raises:
        SpecError: the files do not go together, or are not what their names say.
    """

    def __init__(
        self, data: DataConfig, cleaning: CleaningConfig, files: Sequence[SourceFile], task: Task | None = None
    ) -> None:
        self.data = data
        self.task = task
        self.cleaning = cleaning
        self.files = list(files)
        made = data.series or data.query
        self.format = "made" if made else data_format(files, data.format)
        self.rows = 0
        self.complete = True
        self.columns: dict[str, str] = {}
        self.table: Any = None
        self.work = TemporaryDirectory(prefix="sluice")
        if self.format == "csv":
            self.local = [csv_reader.local_copy(file, Path(self.work.name)) for file in self._near()]
            self.names = csv_reader.same_header(self.local)
        else:
            self.table = self._open()
            self.names = list(self.table.columns)

    def run(self) -> list[Problem]:
        """Look through the rows and return what is wrong."""
        with self.work:
            found = self._csv() if self.format == "csv" else self._typed()
        if not self.rows:
            return found or [
                Problem("data.path", "data without a row", "at least one row in each split", "Check the files.")
            ]
        return [*found, *self._columns_without_values(), *self._steps_on_other_kinds()]

    def _near(self) -> list[SourceFile]:
        """Return the files to look at: of those far away, the first ones."""
        if not any(is_remote(file.path) for file in self.files):
            return self.files
        sizes = itertools.accumulate(file.bytes for file in self.files)
        near = [file for file, total in zip(self.files, sizes, strict=True) if total <= FETCH_AT_MOST]
        self.complete = len(near) == len(self.files)
        return near or self.files[:1]

    def _open(self) -> Any:
        if self.format == "made":
            return self._made()
        if self.format == "images":
            from components.data.image_reader import ImageFolder

            if self.data.split.by == "ratio":
                received = "ratio for a folder of images, whose order is that of the classes"
                raise SpecError([Problem("data.split.by", received, "hash", "Write split: {by: hash}.")])
            return ImageFolder(self.files, check=False)
        if self.format == "parquet":
            from components.data.parquet_reader import ParquetTable

            return ParquetTable(self.files)
        from components.data.tfrecord_reader import TfrecordTable

        return TfrecordTable(self.files)

    def _made(self) -> Any:
        """Return rows that a query or the windows of a series make; only a server's are not all read for them."""
        if self.data.query and not self.data.series and is_server(self.files[0].path):
            from components.data.postgres_reader import PostgresTable

            return PostgresTable(self.files[0].path, self.data.query)
        try:
            return open_table(self.data.ingest, self.files, Path(self.work.name))[0]
        except ComponentError as error:
            where = error.spec_path or "data.path"
            raise SpecError([Problem(where, error.message, "rows that can all be read", error.remedy)]) from error

    def _typed(self) -> list[Problem]:
        """Look at Parquet or TFRecords, whose columns have types of their own."""
        self.columns = dict(self.table.columns)
        rows = RowCheck(self.data, self.cleaning.steps, self.names, self.task)
        wanted = sorted(rows.columns)
        limit = FETCH_AT_MOST if any(is_remote(file.path) for file in self.files) else LOOK_AT_MOST
        looked = 0
        for batch in self.table.batches(wanted or self.names[:1]):
            if looked > limit:
                self.complete = False
                break
            looked += batch.nbytes
            typed = self.table.typed(batch)
            for name in set(wanted) - set(typed.schema.names):
                typed = typed.append_column(name, pa.nulls(typed.num_rows))
            rows.add(typed)
        self.rows = rows.rows if self.complete else max(rows.rows, self.table.rows)
        wrong = [name for name in self.data.numeric_columns if self.columns.get(name, "null") not in _NUMBERS]
        text = [Problem(*self._numeric(name, f"column {name!r}, which holds text")) for name in wrong]
        return [*text, *rows.problems(lambda row: f"row {row + 1}")]

    def _csv(self) -> list[Problem]:
        paths = [file.path for file in self.local]
        look = self._look(paths)
        wrong = look.is_broken or bool(look.not_numbers)
        if wrong and self.data.on_bad_row == "quarantine":
            return self._csv_without_bad_rows(paths)
        found = self._bad_rows(look) if wrong else []
        # The rows behind a broken one were not seen, so nothing can be said of all of them.
        return found if look.is_broken else [*found, *look.rows.problems(lambda row: look.place(row, paths, ()))]

    def _look(self, paths: Sequence[str]) -> CsvCheck:
        """Take the quick pass over local files."""
        rows = RowCheck(self.data, self.cleaning.steps, self.names, self.task)
        look = CsvCheck(self.names, self.files[: len(paths)], paths, self.data.numeric_columns, rows)
        look.look(LOOK_AT_MOST)
        self.rows, self.complete = rows.rows, self.complete and look.complete and not look.is_broken
        self.columns = {name: kind.dtype for name, kind in look.kinds.items()}
        return look

    def _bad_rows(self, look: CsvCheck) -> list[Problem]:
        """Return the first row that cannot be read, and the first wrong value of each numeric column."""
        found: list[Problem] = []
        broken = look.is_broken
        # What stands before a broken row was not counted, but is found on the way to it.
        counts = dict.fromkeys(self.data.numeric_columns, 1) | look.not_numbers if broken else dict(look.not_numbers)
        for bad in look.bad_rows():
            if bad.reason != bad_rows.NOT_A_NUMBER:
                found[:0] = [_broken(bad)] if broken else []
                broken = False
            elif bad.column in counts:
                found.append(self._not_a_number(bad, counts.pop(bad.column)))
            if not broken and (look.is_broken or not counts):
                break
        return found

    def _not_a_number(self, bad: bad_rows.BadRow, count: int) -> Problem:
        more = f", and {count - 1} more that are no numbers" if count > 1 else ""
        return Problem(*self._numeric(str(bad.column), f"{bad.value!r} in {bad.file}, line {bad.line}{more}"))

    def _numeric(self, name: str, received: str) -> tuple[str, str, str, str]:
        """Return the parts of the problem that a numeric column holds something else."""
        aside = "or set such rows aside: data.on_bad_row: quarantine"
        if name in self.data.features:
            remedy = f"Correct the values, {aside}; or declare the column categorical."
            return f"data.features.{name}", received, "numbers or nothing, since it is declared numeric", remedy
        where = "data.weight" if name == self.data.weight else "data.label"
        return where, received, "numbers or nothing", f"Correct the values, {aside}."

    def _csv_without_bad_rows(self, paths: Sequence[str]) -> list[Problem]:
        """Look again at copies without the bad rows, as the run would have them."""
        numeric = self.data.numeric_columns
        table = csv_reader.CsvScanner(numeric, True, Path(self.work.name)).scan(self.local)
        look = self._look(table.files)
        found = look.rows.problems(lambda row: look.place(row, paths, numeric))
        total, limit = table.rows + len(table.bad), self.data.quarantine.max_fraction
        if len(table.bad) > limit * total:
            share = f"{len(table.bad)} bad rows of {total} ({len(table.bad) / total:.2%})"
            received = f"{share}; the first: {_where(table.bad[0])}"
            remedy = "Correct the data, or allow more."
            found.append(Problem("data.quarantine.max_fraction", received, f"at most {limit:.2%}", remedy))
        return found

    def _columns_without_values(self) -> Iterator[Problem]:
        if not self.complete or not self.rows:
            return
        for name in self.data.features:
            if self.columns.get(name) == "null":
                received = f"column {name!r}, which has no value in any row"
                remedy = "Remove it from data.features."
                yield Problem(f"data.features.{name}", received, "a column with values", remedy)

    def _steps_on_other_kinds(self) -> Iterator[Problem]:
        kinds = {"int64": "number", "float32": "number", "bytes": "text"}
        for at, step in enumerate(self.cleaning.steps):
            for name in step.needed_columns():
                kind = kinds.get(self.columns.get(name, ""))
                if kind and kind not in step.accepts():
                    received = f"{step.plugin_name()} on column {name!r}, which holds {kind}s".replace("texts", "text")
                    expected = f"a column of {' or '.join(sorted(step.accepts()))}s".replace("texts", "text")
                    yield Problem(f"cleaning.{at}", received, expected, "Name another column, or take another step.")


def _where(bad: bad_rows.BadRow) -> str:
    column = f", column {bad.column!r}" if bad.column else ""
    value = f" {bad.value!r}" if bad.value is not None else ""
    return f"{bad.file}, line {bad.line}{column}: {bad.reason}{value}"


def _broken(bad: bad_rows.BadRow) -> Problem:
    return Problem("data.path", _where(bad), "rows that can all be read", bad.remedy)
