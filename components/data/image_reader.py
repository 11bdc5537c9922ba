"""Image files as raw data: a folder of them per class, or their paths in a column of a table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa

from components.data.bad_rows import BadRow
from components.data.remote import file_system
from components.data.source import SourceFile
from components.engine.encoder import binary_array, encode_examples
from components.engine.storage import is_remote, join
from components.errors import ComponentError, Problem, SpecError

IMAGE, LABEL, PATH = "image", "label", "path"
"""The columns of a folder of images."""

_BATCH_ROWS = 256
_BATCH_BYTES = 1 << 25
_TABLE_ROWS = 64
"""At a time, since nobody knows how large the images are that a table names."""

_MARKS = re.compile(r"\{\{.*?\}\}\s*|\s*\[Op:.*?\]\s*")


@dataclass(frozen=True)
class BadImage(BadRow):
    """An image file that cannot be read; `line` is the row of the table that names it, or 0."""

    def error(self) -> ComponentError:
        """Return the error that ends a run at this image."""
        named = f", which row {self.line} of column {self.column!r} names" if self.line else ""
        return ComponentError(
            f"{self.file}{named}: {self.reason}.",
            spec_path=f"data.features.{self.column}" if self.line else "data.path",
            remedy="Correct or remove it, or go on without it: data.on_bad_row: quarantine sets such rows aside.",
        )


class ImageFolder:
    """A folder of images per class: rows of the file's bytes, the folder's name and the path from there.

    Args:
        files: the image files, as `CLASS/FILE`.
        check: read every image once and find those that cannot be.
    """

    columns: Mapping[str, str] = dict.fromkeys((LABEL, PATH, IMAGE), "bytes")

    def __init__(self, files: Sequence[SourceFile], check: bool = True) -> None:
        self.bad: list[BadRow] = []
        self.files = list(files)
        if check:
            reasons = list(in_threads(why_unreadable, [file.path for file in files]))
            self.bad = [BadImage(f.path, 0, why, "", IMAGE) for f, why in zip(files, reasons, strict=True) if why]
            self.files = [file for file, why in zip(files, reasons, strict=True) if not why]
        self.rows = len(self.files)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows; image files are only read for the column `image`."""
        names = list(self.columns if columns is None else columns)
        for files in _portions(self.files, _BATCH_BYTES if IMAGE in names else 1 << 40):
            made = [binary_array(_column(name, [file.path for file in files])) for name in names]
            yield pa.RecordBatch.from_arrays(made, names=names)

    def typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch as it is."""
        return batch

    def records(self, batch: pa.RecordBatch) -> pa.BinaryArray:
        """Return a batch as serialized tf.Examples."""
        return encode_examples(batch)


class ImageColumns:
    """A table in which some columns name image files: their bytes take the place of the paths.

    A path is relative to the folder of the table, or absolute, or a URL. Bytes in a Parquet column are the image
    itself. An empty cell stays empty.

    Args:
        table: the table.
        names: the columns of images.
        files: the files of the table.

    Raises:
        SpecError: the files lie in several folders, so that relative paths would mean several things.
    """

    def __init__(self, table: Any, names: Sequence[str], files: Sequence[SourceFile]) -> None:
        self._table = table
        self._names = [name for name in names if name in table.columns]
        self._folder = _one_folder(files)
        self.columns: Mapping[str, str] = table.columns
        self.bad: list[BadRow] = []
        self._bad_rows: set[int] = set()
        self._check()
        self.rows = table.rows - len(self._bad_rows)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Yield the rows whose images can be read, few at a time, since each may hold large ones."""
        for start, batch in self._slices(columns):
            keep = [start + at not in self._bad_rows for at in range(batch.num_rows)]
            yield batch if all(keep) else batch.filter(pa.array(keep))

    def typed(self, batch: Any) -> pa.RecordBatch:
        """Return a batch as columns, with the bytes of the images."""
        typed = self._table.typed(batch)
        for name in set(self._names) & set(typed.schema.names):
            contents = list(in_threads(lambda cell: cell and self._read(cell), self._cells(batch, name)))
            position = typed.schema.get_field_index(name)
            typed = typed.set_column(position, name, pa.array(contents, pa.binary()))
        return typed

    def records(self, batch: Any) -> pa.BinaryArray:
        """Return a batch as serialized tf.Examples."""
        return encode_examples(self.typed(batch))

    def _slices(self, columns: Sequence[str] | None) -> Iterator[tuple[int, Any]]:
        """Yield portions of the table with the number of their first row."""
        row = 0
        for batch in self._table.batches(columns):
            for start in range(0, batch.num_rows, _TABLE_ROWS):
                yield row + start, batch.slice(start, _TABLE_ROWS)
            row += batch.num_rows

    def _check(self) -> None:
        for start, batch in self._slices(self._names):
            for name in self._names:
                cells = self._cells(batch, name)
                for at, why in enumerate(in_threads(lambda cell: cell and why_unreadable(cell), cells)):
                    if why and start + at not in self._bad_rows:
                        self._bad_rows.add(start + at)
                        cell = cells[at]
                        file = cell if isinstance(cell, str) else "an image"
                        self.bad.append(BadImage(file, start + at + 1, why, file, name))

    def _cells(self, batch: Any, name: str) -> list[str | bytes | None]:
        """Return the path of each image, its bytes where the table holds them, or None."""
        column = batch.column(name)
        return [located(cell, self._folder) if isinstance(cell, str) else cell for cell in column.to_pylist()]

    def _read(self, cell: str | bytes) -> bytes:
        return read(cell) if isinstance(cell, str) else cell


def _column(name: str, paths: Sequence[str]) -> list[bytes]:
    """Return a column of a folder of images."""
    if name == IMAGE:
        return list(in_threads(read, paths))
    folders = [os.path.split(path.partition("?")[0] if is_remote(path) else path) for path in paths]
    if name == LABEL:
        return [os.path.basename(folder).encode() for folder, _ in folders]
    return [f"{os.path.basename(folder)}/{file}".encode() for folder, file in folders]


def located(path: str, folder: str) -> str | None:
    """Return where an image lies that a table in a folder names; None when the cell is empty.

    Example:
        >>> located("cats/1.png", "/data"), located("s3://photos/1.png", "/data"), located("", "/data")
        ('/data/cats/1.png', 's3://photos/1.png', None)
        >>> located("cats/1.png", "s3://photos/all?region=eu-central-1")
        's3://photos/all/cats/1.png?region=eu-central-1'
    """
    if not path or is_remote(path) or os.path.isabs(path):
        return path or None
    return join(folder, path)


def named_images(files: Sequence[SourceFile], columns: Sequence[str], form: str) -> list[SourceFile]:
    """Return the image files that CSV or Parquet files name, each once; those that are not there are left out.

    A table far away is read for that; of its images only size and time of change are asked for.
    """
    folder = _one_folder(files)
    paths: set[str] = set()
    for file in files:
        for column in _text_columns(file, columns, form):
            paths |= {where for cell in column.unique().to_pylist() if cell and (where := located(cell, folder))}
    near = [path for path in sorted(paths) if not is_remote(path) and os.path.isfile(path)]
    return [*(SourceFile(path, os.path.getsize(path)) for path in near), *_far(filter(is_remote, sorted(paths)))]


def _far(urls: Iterable[str]) -> Iterator[SourceFile]:
    """Yield the files that are there, with what tells that one has changed; each store is asked once."""
    stores: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for url in urls:
        base, _, options = url.partition("?") if url.startswith(("s3://", "gs://")) else (url, "", "")
        scheme, _, path = base.partition("://")
        stores.setdefault((f"{scheme}://{path.partition('/')[0]}", options), []).append((url, path))
    for group in stores.values():
        system, _ = file_system(group[0][0])
        infos = system.get_file_info([path for _, path in group])
        for (url, _), info in zip(group, infos, strict=True):
            if info.is_file:
                yield SourceFile(url, info.size, str(info.mtime_ns))


def _text_columns(file: SourceFile, columns: Sequence[str], form: str) -> Iterator[pa.Array]:
    from components.data import csv_reader, parquet_reader

    if form not in ("csv", "parquet"):
        return
    try:
        with TemporaryDirectory(prefix="sluice") as work:
            if form == "csv":
                path = csv_reader.local_copy(file, Path(work)).path
                header = csv_reader.read_header(path)
                batches = csv_reader.text_batches(path, header, [name for name in columns if name in header])
            else:
                batches = parquet_reader.ParquetTable([file]).batches(columns)
            for batch in batches:
                yield from (column for column in batch.columns if not pa.types.is_binary(column.type))
    except (pa.ArrowException, SpecError):
        return  # what is wrong with the table is said by who reads it


def why_unreadable(image: str | bytes) -> str:
    """Return why the decoder of the transform graph cannot read an image, or an empty text.

    Args:
        image: a path, or the bytes.
    """
    import tensorflow as tf

    try:
        with tf.device("CPU"):
            tf.io.decode_image(read(image) if isinstance(image, str) else image, expand_animations=False)
    except OSError as error:
        return "not there" if isinstance(error, FileNotFoundError) else str(error)
    except tf.errors.OpError as error:
        return f"no image that can be read ({' '.join(_MARKS.sub(' ', error.message).split()).rstrip('.')})"
    return ""


def read(path: str) -> bytes:
    """Return the content of a local file or of a URL."""
    if not is_remote(path):
        with open(path, "rb") as file:
            return file.read()
    system, inner = file_system(path)
    with system.open_input_stream(inner, compression=None) as stream:
        return bytes(stream.readall())


def in_threads(function: Any, items: Sequence[Any]) -> Iterator[Any]:
    """Call a function that waits for files or leaves Python's lock, for many items; results come in their order."""
    with ThreadPoolExecutor(thread_name_prefix="images") as pool:
        yield from pool.map(function, items)


def _portions(files: Sequence[SourceFile], at_most: int) -> Iterator[list[SourceFile]]:
    portion: list[SourceFile] = []
    size = 0
    for file in files:
        if portion and (size + file.bytes > at_most or len(portion) == _BATCH_ROWS):
            yield portion
            portion, size = [], 0
        portion.append(file)
        size += file.bytes
    if portion:
        yield portion


def _one_folder(files: Sequence[SourceFile]) -> str:
    parts = [file.path.partition("?") if is_remote(file.path) else (file.path, "", "") for file in files]
    folders = sorted({os.path.dirname(base) + mark + options for base, mark, options in parts})
    if len(folders) > 1:
        received = f"tables with paths of images in {len(folders)} folders ({folders[0]}, {folders[1]})"
        remedy = "Put them into one folder, or write absolute paths into one table."
        raise SpecError([Problem("data.path", received, "tables in one folder, which paths start from", remedy)])
    return folders[0]
