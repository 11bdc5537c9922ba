"""One quick look through the raw files for what is certain to go wrong; slow looks only where something does."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from components.data import bad_rows, csv_reader
from components.data.config import DataConfig
from components.data.row_check import RowCheck
from components.data.source import SourceFile, data_format, is_remote
from components.data.types import Kind, kind_of, not_numbers
from components.errors import Problem

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

    Raises:
        SpecError: the files do not go together, or are not what their names say.
    """

    def __init__(self, data: DataConfig, cleaning: CleaningConfig, files: Sequence[SourceFile]) -> None:
        self.data = data
        self.cleaning = cleaning
        self.files = list(files)
        self.format = data_format(files, data.format)
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
        if not self.rows and not found:
            return [Problem("data.path", "data without a row", "at least one row in each split", "Check the files.")]
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
        if self.format == "parquet":
            from components.data.parquet_reader import ParquetTable

            return ParquetTable(self.files)
        from components.data.tfrecord_reader import TfrecordTable

        return TfrecordTable(self.files)

    def _typed(self) -> list[Problem]:
        """Look at Parquet or TFRecords, whose columns have types of their own."""
        self.columns = dict(self.table.columns)
        rows = RowCheck(self.data, self.cleaning.steps, self.names)
        wanted = self.names if rows.every_column else sorted(rows.columns)
        limit = FETCH_AT_MOST if any(is_remote(file.path) for file in self.files) else LOOK_AT_MOST
        looked = 0
        for batch in self.table.batches(wanted or self.names[:1]):
            if looked > limit:
                self.complete = False
                break
            looked += batch.nbytes
            typed = self.table.typed(batch)
            missing = [name for name in wanted if name not in typed.schema.names]
            for name in missing:
                typed = typed.append_column(name, pa.nulls(typed.num_rows))
            rows.add(typed)
        self.rows = rows.rows if self.complete else max(rows.rows, self.table.rows)
        wrong = [name for name in self.data.numeric_columns if self.columns.get(name, "null") not in _NUMBERS]
        text = [Problem(*self._numeric(name, f"column {name!r}, which holds text")) for name in wrong]
        return [*text, *rows.problems(lambda row: f"row {row + 1}")]

    def _csv(self) -> list[Problem]:
        look = _CsvLook(self.data, self.cleaning, self.names, [file.path for file in self.local])
        broken = look.broken()
        if broken or look.not_numbers:
            if self.data.on_bad_row == "quarantine":
                return self._csv_without_bad_rows()
            found = self._bad_rows(broken, look)
        else:
            found = []
        self._take(look)
        # The rows behind a broken one were not seen, so nothing can be said of all of them.
        return found if broken else [*found, *look.rows.problems(look.place)]

    def _take(self, look: _CsvLook) -> None:
        self.rows, self.complete = look.rows.rows, self.complete and look.complete
        self.columns = {name: kind.dtype for name, kind in look.kinds.items()}

    def _bad_rows(self, broken: int | None, look: _CsvLook) -> list[Problem]:
        """Return the first broken row, and the first wrong value of each numeric column, with their lines."""
        found: list[Problem] = []
        left = set(look.not_numbers)
        for path in look.paths[broken or 0 :] if broken is not None and not left else look.paths:
            if broken is None and not left:
                break
            with csv_reader.open_bytes(path) as file:
                for _, bad in bad_rows.scan(file, path, self.names, self.data.numeric_columns):
                    if bad is None:
                        continue
                    if bad.column in left and bad.value is not None:
                        left.discard(bad.column)
                        found.append(self._not_a_number(bad, look.not_numbers[bad.column]))
                    elif bad.column is None or bad.column not in self.data.numeric_columns:
                        if broken is not None:
                            found.insert(0, _broken(bad))
                            broken = None
                    if broken is None and not left:
                        break
        return found

    def _not_a_number(self, bad: bad_rows.BadRow, count: int) -> Problem:
        more = f", and {count - 1} more that are no numbers" if count > 1 else ""
        return Problem(*self._numeric(str(bad.column), f"{bad.value!r} in {bad.file}, line {bad.line}{more}"))

    def _numeric(self, name: str, received: str) -> tuple[str, str, str, str]:
        where = f"data.features.{name}"
        remedy = "Correct the values, or set such rows aside: data.on_bad_row: quarantine."
        if name in self.data.features:
            return where, received, "numbers or nothing, since it is declared numeric", (
                f"{remedy[:-1]}; or declare it categorical."
            )  # fmt: skip
        where = "data.weight" if name == self.data.weight else "data.label"
        return where, received, "numbers or nothing", remedy

    def _csv_without_bad_rows(self) -> list[Problem]:
        scanner = csv_reader.CsvScanner(self.data.numeric_columns, True, Path(self.work.name))
        table = scanner.scan(self.local)
        total = table.rows + len(table.bad)
        look = _CsvLook(self.data, self.cleaning, self.names, table.files)
        look.broken()
        self._take(look)
        found = look.rows.problems(look.place)
        limit = self.data.quarantine.max_fraction
        if len(table.bad) > limit * total:
            received = f"{len(table.bad)} bad rows of {total} ({len(table.bad) / total:.2%}); the first: {_where(table.bad[0])}"
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


class _CsvLook:
    """One pass over CSV files: types, values that are no numbers, and what `RowCheck` sees."""

    def __init__(self, data: DataConfig, cleaning: CleaningConfig, names: Sequence[str], paths: Sequence[str]) -> None:
        self.names = list(names)
        self.paths = list(paths)
        self.kinds = dict.fromkeys(self.names, Kind.NULL)
        self.numeric = set(data.numeric_columns)
        self.not_numbers: dict[str, int] = {}
        self.rows = RowCheck(data, cleaning.steps, self.names)
        self.starts: list[int] = []
        self.complete = True

    def broken(self) -> int | None:
        """Look; return the index of the first file with a row that cannot be read, or None."""
        left = LOOK_AT_MOST // csv_reader.BLOCK_BYTES
        for index, path in enumerate(self.paths):
            self.starts.append(self.rows.rows)
            try:
                for batch in csv_reader.text_batches(path, self.names):
                    self._add(batch)
                    left -= 1
                    if left <= 0:
                        self.complete = False
                        return None
            except pa.ArrowInvalid:
                return index
            if csv_reader.unbalanced(path) and csv_reader.first_bad_row(path, self.names):
                return index
        return None

    def _add(self, batch: pa.RecordBatch) -> None:
        wanted = self.names if self.rows.every_column else self.rows.columns
        kinds = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if self.kinds[name] is not Kind.STRING or name in self.numeric:
                kind = kind_of(column.dictionary)
                if kind is Kind.STRING and name in self.numeric:
                    wrong = pc.is_in(column, value_set=not_numbers(column.dictionary).dictionary_encode().dictionary)
                    self.not_numbers[name] = self.not_numbers.get(name, 0) + int(pc.sum(wrong).as_py() or 0)
                self.kinds[name] = max(self.kinds[name], kind)
            kinds[name] = self.kinds[name]
        if wanted:
            typed = csv_reader.typed_batch(batch.select(sorted(wanted)), kinds)
            flat = [_decoded(column) for column in typed.columns]
            self.rows.add(pa.RecordBatch.from_arrays(flat, names=typed.schema.names))
        else:
            self.rows.rows += batch.num_rows
            self.rows.kept += batch.num_rows

    def place(self, row: int) -> str:
        """Return the file and the line of a row."""
        index = max(at for at, start in enumerate(self.starts) if start <= row)
        with csv_reader.open_bytes(self.paths[index]) as file:
            line = bad_rows.line_of_record(file, row - self.starts[index])
        return f"{self.paths[index]}, line {line}"


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _where(bad: bad_rows.BadRow) -> str:
    column = f", column {bad.column!r}" if bad.column else ""
    value = f" {bad.value!r}" if bad.value is not None else ""
    return f"{bad.file}, line {bad.line}{column}: {bad.reason}{value}"


def _broken(bad: bad_rows.BadRow) -> Problem:
    return Problem("data.path", _where(bad), "rows that can all be read", bad.remedy)
