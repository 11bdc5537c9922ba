"""A quick pass over CSV files before the run, and the slow one that finds lines when something is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from components.data import bad_rows, csv_reader
from components.data.row_check import RowCheck
from components.data.source import SourceFile
from components.data.types import Kind, kind_of, not_numbers


class CsvCheck:
    """Types, values that are no numbers, and what a `RowCheck` sees.

    Args:
        names: the header.
        origins: the raw files, for messages and to find lines in.
        paths: what to read instead of each: copies on this machine, or without bad rows.
        numeric: columns that must hold numbers or nothing.
        rows: looks at the rows.
    """

    def __init__(
        self,
        names: Sequence[str],
        origins: Sequence[SourceFile],
        paths: Sequence[str],
        numeric: Sequence[str],
        rows: RowCheck,
    ) -> None:
        self.names = list(names)
        self.origins = [file.path for file in origins]
        self.paths = list(paths)
        self.numeric = frozenset(numeric)
        self.rows = rows
        self.kinds = dict.fromkeys(self.names, Kind.NULL)
        self.not_numbers: dict[str, int] = {}
        """Numeric columns that hold something else, and how often."""
        self.is_broken = False
        """A row cannot be read, so nothing is known of those behind it."""
        self.complete = True
        self.starts: list[int] = []

    def look(self, at_most: int) -> None:
        """Take the quick pass.

        Args:
            at_most: bytes to read.
        """
        left = max(1, at_most // csv_reader.BLOCK_BYTES)
        for path in self.paths:
            self.starts.append(self.rows.rows)
            try:
                for batch in csv_reader.text_batches(path, self.names):
                    self._add(batch)
                    left -= 1
                    if left <= 0:
                        self.complete = False
                        return
            except pa.ArrowInvalid:
                self.is_broken = True
                return
            if csv_reader.unbalanced(path) and csv_reader.first_bad_row(path, self.names):
                self.is_broken = True
                return

    def _add(self, batch: pa.RecordBatch) -> None:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            known = self.kinds[name]
            if known is Kind.STRING and name not in self.numeric:
                continue
            kind = kind_of(column.dictionary)
            self.kinds[name] = max(known, kind)
            if kind is Kind.STRING and name in self.numeric:
                wrong = pc.is_in(column.dictionary, value_set=not_numbers(column.dictionary))
                count = pc.sum(wrong.take(column.indices)).as_py() or 0
                self.not_numbers[name] = self.not_numbers.get(name, 0) + int(count)
        wanted = [name for name in self.names if name in self.rows.columns]
        if wanted:
            typed = csv_reader.typed_batch(batch.select(wanted), self.kinds)
            flat = [_decoded(column) for column in typed.columns]
            self.rows.add(pa.RecordBatch.from_arrays(flat, names=wanted))
        else:
            self.rows.rows += batch.num_rows
            self.rows.kept += batch.num_rows

    def bad_rows(self) -> Iterator[bad_rows.BadRow]:
        """Take the slow pass: yield every row that cannot be read or holds no number where it must."""
        for origin, path in zip(self.origins, self.paths, strict=True):
            with csv_reader.open_bytes(path) as file:
                for _, _, bad in bad_rows.scan(file, origin, self.names, self.numeric):
                    if bad is not None:
                        yield bad

    def place(self, row: int, raw_paths: Sequence[str], numeric: Sequence[str]) -> str:
        """Return the file and the line of a row.

        Args:
            row: its index among the rows of the quick pass.
            raw_paths: the files as they were before bad rows were taken out.
            numeric: the columns by which rows were bad.
        """
        index = max(at for at, start in enumerate(self.starts) if start <= row)
        with csv_reader.open_bytes(raw_paths[index]) as file:
            line = bad_rows.line_of_row(file, self.names, numeric, row - self.starts[index])
        return f"{self.origins[index]}, line {line}"


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
