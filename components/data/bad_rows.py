"""Rows that cannot be read: found one by one, with their real line; only used once something is known to be wrong."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

from components.data.types import Kind, kind_of_value
from components.errors import ComponentError

NOT_A_NUMBER = "not a number that fits 64 bits, in a numeric column:"

LONGEST_RECORD = 10_000
"""Lines after which a quote that never ends is taken for a mistake."""

_BYTE_ORDER_MARK = "\ufeff"

FIELDS = ("file", "line", "column", "value", "reason", "text")


@dataclass(frozen=True)
class BadRow:
    """A row that is not in the examples.

    Args:
        file: the raw file.
        line: its first line in the file, from 1.
        reason: what is wrong with it, in a few words.
        text: the raw text.
        column: the column that is at fault, if one is.
        value: what stands there.
    """

    file: str
    line: int
    reason: str
    text: str
    column: str | None = None
    value: str | None = None

    def error(self) -> ComponentError:
        """Return the error that ends a run at this row."""
        where = f", column {self.column!r}" if self.column else ""
        value = f" {self.value!r}" if self.value is not None else ""
        row = self.text if len(self.text) <= 200 else self.text[:200] + "…"
        return ComponentError(
            f"{self.file}, line {self.line}{where}: {self.reason}{value}. The row: {row}",
            spec_path=f"data.features.{self.column}" if self.column else "data.on_bad_row",
            remedy=self.remedy,
        )

    @property
    def remedy(self) -> str:
        """What the user can do about it."""
        aside = "data.on_bad_row: quarantine sets such rows aside"
        if self.column and self.value is not None:
            return f"Correct the value, declare the column categorical, or go on without the row: {aside}."
        return f"Correct the row, or go on without it: {aside}."

    def fields(self) -> tuple[object, ...]:
        """Return the row of the quarantine file; its header is FIELDS."""
        return (self.file, self.line, self.column or "", self.value or "", self.reason, self.text)


class _Lines:
    """Lines of a file, some of which can be given back; knows whether a record was cut off."""

    def __init__(self, file: IO[bytes]) -> None:
        self._fresh = iter(file.readline, b"")
        self._again: list[str] = []
        self.taken: list[str] = []
        self.cut = False
        self._started = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= LONGEST_RECORD:
            self.cut = True
            raise StopIteration
        if self._again:
            line = self._again.pop()
        else:
            line = next(self._fresh, b"").decode("utf-8", "surrogateescape")
            if not self._started:
                line, self._started = line.removeprefix(_BYTE_ORDER_MARK), True
            if not line:
                self.cut = bool(self.taken)
                raise StopIteration
        self.taken.append(line)
        return line

    def give_back(self, lines: Sequence[str]) -> None:
        self._again.extend(reversed(lines))


def records(file: IO[bytes]) -> Generator[tuple[int, list[str], list[str] | str], bool | None, None]:
    """Yield each record's first line number, its lines, and its cells, or in their place why there are none.

    After a record that cannot be right the next one starts at the very next line, so one stray quote costs one line.
    The caller says that it is wrong by sending True.
    """
    lines = _Lines(file)
    number = 1
    while True:
        lines.taken, lines.cut = [], False
        cells: list[str] | str
        try:
            cells = next(csv.reader(lines, strict=False), [])
        except csv.Error as error:
            cells = str(error)
        taken = lines.taken
        if not taken:
            return
        if lines.cut:
            cells = "a quote that never ends"
        wrong = yield number, taken, cells
        if len(taken) > 1 and (isinstance(cells, str) or wrong):
            lines.give_back(taken[1:])
            taken = taken[:1]
        number += len(taken)


def scan(
    file: IO[bytes], name: str, header: Sequence[str], numeric: Collection[str] = ()
) -> Iterator[tuple[int, str, BadRow | None]]:
    """Yield the first line and the text of each record after the header, with what is wrong with it.

    Args:
        file: the uncompressed bytes, from the start.
        name: what to call the file in messages.
        header: names of the columns.
        numeric: the columns that must hold numbers or nothing.
    """
    positions = [(column, index) for index, column in enumerate(header) if column in numeric]
    rows = records(file)
    next(rows, None)
    verdict: bool | None = None
    while True:
        try:
            number, lines, cells = rows.send(verdict)
        except StopIteration:
            return
        text = "".join(lines)
        found = _judge(cells, len(lines), header, positions)
        verdict = found is not None
        if found is None:
            if cells:
                yield number, text, None
            continue
        reason, column, value = found
        shown = lines[0] if len(lines) > 1 else text
        yield number, shown, BadRow(name, number, reason, _printable(shown.rstrip("\r\n")), column, value)


def _judge(
    cells: list[str] | str, lines: int, header: Sequence[str], numeric: Sequence[tuple[str, int]]
) -> tuple[str, str | None, str | None] | None:
    """Return the reason, the column and the value, or None for a good (or blank) row."""
    if isinstance(cells, str):
        return cells, None, None
    if not cells:
        return None
    if len(cells) != len(header):
        over = f", read over {lines} lines: is a quote missing?" if lines > 1 else ""
        return f"{len(cells)} values for {len(header)} columns{over}", None, None
    for column, cell in zip(header, cells, strict=True):
        if not cell.isascii() and not _is_utf8(cell):
            return "bytes that are not UTF-8", column, _printable(cell)
    for column, index in numeric:
        if kind_of_value(cells[index].encode()) is Kind.STRING:
            return NOT_A_NUMBER, column, cells[index]
    return None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def line_of_row(file: IO[bytes], header: Sequence[str], numeric: Collection[str], index: int) -> int:
    """Return the line where a row starts.

    Args:
        file: the uncompressed bytes, from the start.
        header: names of the columns.
        numeric: as for `scan`; rows that are bad by it do not count.
        index: 0 for the first good row after the header.
    """
    good = (number for number, _, bad in scan(file, "", header, numeric) if bad is None)
    return next(itertools.islice(good, index, None), 0)


def copy_good_rows(
    file: IO[bytes],
    name: str,
    header: Sequence[str],
    numeric: Collection[str],
    target: IO[bytes],
    on_bad: Callable[[BadRow], None],
) -> None:
    """Write the header and the good rows of a file to `target`, and hand over the bad ones."""
    csv_header = ",".join('"' + column.replace('"', '""') + '"' for column in header)
    target.write(csv_header.encode() + b"\n")
    for _, text, bad in scan(file, name, header, numeric):
        if bad is not None:
            on_bad(bad)
        else:
            target.write(text.encode() + (b"" if text.endswith("\n") else b"\n"))
