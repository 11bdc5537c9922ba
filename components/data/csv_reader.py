"""CSV files in bounded memory: what their columns are in a first pass, their rows as typed columns in a second."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv

from components.data import bad_rows
from components.data.remote import file_system
from components.data.source import SourceFile
from components.data.types import Kind, convert, kind_of
from components.engine.encoder import encode_examples
from components.engine.storage import is_remote
from components.errors import ComponentError, Problem, SpecError

BLOCK_BYTES = 1 << 22


def open_bytes(path: str) -> IO[bytes]:
    """Open a local file for reading, decompressed if its name ends in .gz."""
    if path.endswith(".gz"):
        from isal import igzip_threaded

        return igzip_threaded.open(path, "rb")
    return open(path, "rb")


def read_header(path: str) -> list[str]:
    """Return the names of a CSV file's columns; empty when the file is."""
    with open_bytes(path) as file:
        _, _, cells = next(bad_rows.records(file), (1, [], []))
    return [] if isinstance(cells, str) else [cell.strip() for cell in cells]


def same_header(files: Sequence[SourceFile]) -> list[str]:
    """Return the header that all files share.

    Raises:
        SpecError: a file has none or another one, or a name stands twice.
    """
    header = read_header(files[0].path)
    expected = "a first line that names the columns, the same in every file, each name once"
    if not any(header):
        raise SpecError([Problem("data.path", "an empty file", expected, "Write it again.", files[0].path, 1)])
    for name in header:
        if header.count(name) > 1 or not name:
            received = f"column {name!r} {header.count(name)} times" if name else "a column without a name"
            raise SpecError([Problem("data.path", received, expected, "Rename it.", files[0].path, 1)])
    for file in files[1:]:
        other = read_header(file.path)
        if other != header:
            odd = sorted(set(header) ^ set(other))
            received = f"other columns than in {files[0].path} ({', '.join(odd) if odd else 'in another order'})"
            remedy = "Make the headers equal, or narrow data.path."
            raise SpecError([Problem("data.path", received, expected, remedy, file.path, 1)])
    return header


def text_batches(
    path: str, header: Sequence[str], columns: Sequence[str] | None = None, block_bytes: int = BLOCK_BYTES
) -> Iterator[pa.RecordBatch]:
    """Yield the rows as dictionary-encoded text, null where a cell is empty.

    Args:
        path: a local file.
        header: names of all its columns.
        columns: those to keep; None keeps all.
        block_bytes: how much text makes a batch.

    Raises:
        pa.ArrowInvalid: a row is wrong; `bad_rows.scan` says which and why.
    """
    kept = list(header if columns is None else columns)
    text = pa.dictionary(pa.int32(), pa.string())
    with open_bytes(path) as file:
        reader = pyarrow.csv.open_csv(
            pa.PythonFile(file, "r") if path.endswith(".gz") else path,
            # The header is read by `read_header`, since its names may be quoted or padded.
            read_options=pyarrow.csv.ReadOptions(
                block_size=block_bytes, column_names=list(header), skip_rows_after_names=1
            ),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: text for name in kept},
                include_columns=kept,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
        yield from (batch for batch in reader if batch.num_rows)


def unbalanced(path: str) -> bool:
    """True when the file has an odd number of quotes: some quote then never ends, which Arrow does not tell."""
    count = 0
    with open_bytes(path) as file:
        while block := file.read(1 << 20):
            count += block.count(b'"')
    return bool(count % 2)


def first_bad_row(path: str, header: Sequence[str]) -> bad_rows.BadRow | None:
    """Return the first row that cannot be read; slow, so for files in which something is wrong."""
    with open_bytes(path) as file:
        return next((bad for _, _, bad in bad_rows.scan(file, path, header) if bad is not None), None)


def local_copy(file: SourceFile, folder: Path) -> SourceFile:
    """Return a local file as it is, and a remote one as a copy in the folder, since CSV is read twice."""
    if not is_remote(file.path):
        return file
    system, path = file_system(file.path)
    target = Path(tempfile.mkdtemp(dir=folder), Path(path).name)
    source: Any = system.open_input_stream(path, compression=None)
    with source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 22)
    return SourceFile(str(target), file.bytes)


@dataclass
class CsvTable:
    """CSV files whose rows are all readable, and what their columns are.

    Args:
        header: names of the columns, in the order of the files.
        files: the readable files; copies without the bad rows where there were some.
        kinds: type of each column over all files.
        rows: number of rows over all files.
        bad: rows that were set aside.
    """

    header: list[str]
    files: list[str] = field(default_factory=list)
    kinds: dict[str, Kind] = field(default_factory=dict)
    rows: int = 0
    bad: list[bad_rows.BadRow] = field(default_factory=list)

    @property
    def columns(self) -> dict[str, str]:
        """Name and type of each column."""
        return {name: self.kinds[name].dtype for name in self.header}

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows, text still."""
        for path in self.files:
            yield from text_batches(path, self.header, columns)

    def typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch with the types of the whole table: dictionaries of int64, float32 or binary."""
        return typed_batch(batch, self.kinds)

    def records(self, batch: pa.RecordBatch) -> pa.BinaryArray:
        """Return a batch as serialized tf.Examples."""
        return encode_examples(self.typed(batch))


def typed_batch(batch: pa.RecordBatch, kinds: dict[str, Kind]) -> pa.RecordBatch:
    """Return dictionary-encoded text as typed dictionaries; a column of kind NULL becomes a null column."""
    arrays = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if kinds[name] is Kind.NULL:
            arrays.append(pa.nulls(len(column)))
        else:
            values = convert(column.dictionary, kinds[name])
            arrays.append(pa.DictionaryArray.from_arrays(column.indices, values, safe=False))
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def infer(batches: Iterator[pa.RecordBatch], kinds: dict[str, Kind]) -> int:
    """Raise the kinds to what the batches need; return how many rows they have."""
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if kinds[name] is not Kind.STRING:
                kinds[name] = max(kinds[name], kind_of(column.dictionary))
    return rows


class CsvScanner:
    """Reads CSV files once, to know their types and to set bad rows aside.

    Args:
        numeric: columns that must hold numbers or nothing.
        quarantine: set bad rows aside; otherwise the first one is an error.
        work: folder for copies of remote files and of files without their bad rows.
    """

    def __init__(self, numeric: Collection[str], quarantine: bool, work: Path) -> None:
        self.numeric = frozenset(numeric)
        self.quarantine = quarantine
        self.work = work

    def scan(self, files: Sequence[SourceFile]) -> CsvTable:
        """Return the table.

        Raises:
            ComponentError: a row is bad and bad rows are errors.
            SpecError: headers are missing or differ.
        """
        local = [local_copy(file, self.work) for file in files]
        table = CsvTable(same_header(local))
        table.kinds = dict.fromkeys(table.header, Kind.NULL)
        for origin, file in zip(files, local, strict=True):
            kinds = dict(table.kinds)
            rows = self._infer(file.path, table.header, kinds)
            path = file.path
            if rows is None:
                kinds = dict(table.kinds)
                path = self._without_bad_rows(origin, file, table)
                rows = infer(text_batches(path, table.header), kinds)
            table.files.append(path)
            table.kinds, table.rows = kinds, table.rows + rows
        return table

    def _infer(self, path: str, header: Sequence[str], kinds: dict[str, Kind]) -> int | None:
        """Return the number of rows, or None when some row is bad."""
        try:
            rows = infer(text_batches(path, header), kinds)
        except pa.ArrowInvalid:
            return None
        wrong = unbalanced(path) or any(kinds.get(name) is Kind.STRING for name in self.numeric)
        return None if wrong else rows

    def _without_bad_rows(self, origin: SourceFile, file: SourceFile, table: CsvTable) -> str:
        """Return a copy of the file without its bad rows, which go to the table (the file itself if it has none)."""
        before = len(table.bad)

        def aside(bad: bad_rows.BadRow) -> None:
            if not self.quarantine:
                raise bad.error()
            table.bad.append(bad)

        handle, copy = tempfile.mkstemp(suffix=".csv", dir=self.work)
        with open(handle, "wb") as target, open_bytes(file.path) as source:
            bad_rows.copy_good_rows(source, origin.path, table.header, self.numeric, target, aside)
        if len(table.bad) == before:
            # An odd number of quotes can be right: 5" pipe.
            Path(copy).unlink()
            return self._checked(file.path, table.header)
        return self._checked(copy, table.header)

    def _checked(self, path: str, header: Sequence[str]) -> str:
        try:
            for _ in text_batches(path, header):
                pass
        except pa.ArrowInvalid as error:
            raise ComponentError(
                f"{path}: {error}", spec_path="data.path", remedy="Write the file again as plain CSV in UTF-8."
            ) from error
        return path
