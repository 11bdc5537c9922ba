"""Raw files to a train and an eval split of tf.Examples, in bounded memory and always in the same order."""

from __future__ import annotations

import csv
import itertools
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from components.data import bad_rows
from components.data.config import IngestConfig
from components.data.database import is_server
from components.data.image_reader import ImageColumns, ImageFolder
from components.data.raw_files import places_of
from components.data.series import SeriesTable
from components.data.source import data_format, list_files, spans_of
from components.data.split import Splitter, oldest
from components.engine import progress
from components.engine.examples import ExampleWriter, split_directory
from components.engine.tfrecord import frame
from components.errors import ComponentError

SPLITS = ("train", "eval")
QUARANTINE_FILE = "quarantine.csv"
_SECONDS_BETWEEN_REPORTS = 0.5
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Table(Protocol):
    """Raw data of any format.

    Args:
        rows: how many rows there are, where the format tells.
    """

    rows: int

    @property
    def columns(self) -> dict[str, str]:
        """Name and type of each column."""

    def batches(self, columns: Any = None) -> Iterator[Any]:
        """Yield batches of rows as the format has them."""

    def typed(self, batch: Any) -> pa.RecordBatch:
        """Return such a batch as the columns of examples."""

    def records(self, batch: Any) -> pa.BinaryArray:
        """Return such a batch as serialized tf.Examples."""


def ingest(config: IngestConfig, data_path: str, target: Path, runtime: Mapping[str, Any]) -> dict[str, Any]:
    """Write the splits into `target` and return the summary.

    Args:
        config: what the result depends on.
        data_path: resolved `data.path`.
        target: folder of the Examples artifact.
        runtime: of the component; progress goes there, and `span` names the newest span to read.

    Raises:
        ComponentError: a row is bad, too many are, a split gets no rows, or a column of the split is not there.
        SpecError: the files are missing, empty or differ.
    """
    files = list_files(data_path, config.format, config.selection(_span(runtime)))
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".work", dir=target) as work:
        table, bad = open_table(config, files, Path(work))
        _check_quarantine(config, getattr(table, "raw_rows", table.rows), bad)
        _check_columns(config, table)
        counts = _write(table, splitter_of(config, table), target, runtime)
    for split, count in zip(SPLITS, counts, strict=True):
        if not count:
            raise ComponentError(
                f"Split {split!r} gets none of the {sum(counts)} rows of {data_path}.",
                spec_path="data.split", remedy="Use more data, or other sizes of the splits.",
            )  # fmt: skip
    quarantine = _write_quarantine(bad, target) if bad else None
    return {
        "rows": sum(counts),
        "splits": dict(zip(SPLITS, counts, strict=True)),
        "bytes": sum(file.bytes for file in files) or None,  # a database server does not tell
        "files": places_of(files),
        "spans": spans_of(files),
        "quarantined": len(bad),
        "quarantine_file": quarantine,
        "columns": dict(table.columns),
        "series": getattr(table, "counts", None),
    }


def _span(runtime: Mapping[str, Any]) -> int | None:
    # a parameter of a Kubeflow run is text, and empty when it is not given
    return int(runtime["span"]) if runtime.get("span") not in (None, "") else None


def open_table(config: IngestConfig, files: list[Any], work: Path) -> tuple[Table, list[bad_rows.BadRow]]:
    """Return the raw data, and the rows that were set aside; `work` is a folder for copies."""
    table, bad = _open_files(config, files, work)
    if config.series is None:
        return table, bad
    return SeriesTable(table, config.series, config.split), bad


def _open_files(config: IngestConfig, files: list[Any], work: Path) -> tuple[Table, list[bad_rows.BadRow]]:
    if config.query is not None and is_server(files[0].path):
        from components.data.postgres_reader import PostgresTable

        return PostgresTable(files[0].path, config.query, work), []
    if config.query is not None:
        from components.data.sql_reader import SqliteTable

        return SqliteTable(files[0].path, config.query), []
    kind = data_format(files, config.format)
    if kind == "images":
        return _without_bad_images(config, ImageFolder(files))
    if kind == "csv":
        from components.data.csv_reader import CsvScanner

        table = CsvScanner(config.numeric, config.on_bad_row == "quarantine", work).scan(files)
        return _with_images(config, table, files)
    if kind == "parquet":
        from components.data.parquet_reader import ParquetTable

        return _with_images(config, ParquetTable(files), files)
    from components.data.tfrecord_reader import TfrecordTable

    return TfrecordTable(files, count=config.split.by == "ratio"), []


def _with_images(config: IngestConfig, table: Any, files: list[Any]) -> tuple[Table, list[bad_rows.BadRow]]:
    """Return a table with the images that it names, and its bad rows."""
    bad = list(getattr(table, "bad", ()))
    if not set(config.images) & set(table.columns):
        return table, bad
    with_images, bad_images = _without_bad_images(config, ImageColumns(table, config.images, files))
    return with_images, bad + bad_images


def _without_bad_images(config: IngestConfig, table: Any) -> tuple[Table, list[bad_rows.BadRow]]:
    if table.bad and config.on_bad_row == "error":
        raise table.bad[0].error()
    return table, table.bad


def _check_quarantine(config: IngestConfig, rows: int, bad: list[bad_rows.BadRow]) -> None:
    total = rows + len(bad)
    if not total:
        raise ComponentError("The data hold no rows.", spec_path="data.path", remedy="Check the files.")
    if len(bad) > total * config.quarantine.max_fraction:
        raise ComponentError(
            f"{len(bad)} of {total} rows are bad ({len(bad) / total:.2%}), more than "
            f"{config.quarantine.max_fraction:.2%}. The first one: {bad[0].error().message}",
            spec_path="data.quarantine.max_fraction",
            remedy="Correct the data, or allow more: data.quarantine.max_fraction.",
        )


def _check_columns(config: IngestConfig, table: Table) -> None:
    for name in config.split.columns:
        if name not in table.columns:
            raise ComponentError(
                f"data.split names column {name!r}, which the data do not have.", spec_path="data.split.columns",
                remedy=f"The columns are {', '.join(table.columns)}.",
            )  # fmt: skip
    wrong = [name for name in config.numeric if table.columns.get(name) == "bytes"]
    if wrong:
        raise ComponentError(
            f"Column {wrong[0]!r} is declared numeric, but the data hold text.",
            spec_path=f"data.features.{wrong[0]}", remedy="Declare it categorical, or write it as numbers.",
        )  # fmt: skip


def splitter_of(config: IngestConfig, table: Table) -> Splitter:
    """Return what tells the rows for training."""
    if isinstance(table, SeriesTable):
        return Splitter(config.split, training=table.training)
    if config.split.by != "time":
        return Splitter(config.split, table.rows)
    column = config.split.columns[0]
    times = (_only(table, batch, column) for batch in table.batches([column]))
    return Splitter(config.split, training=oldest(times, config.split))


def _only(table: Table, batch: Any, column: str) -> pa.Array:
    typed = table.typed(batch)
    return typed.column(column) if column in typed.schema.names else pa.nulls(typed.num_rows)


def _write(table: Table, splitter: Splitter, target: Path, runtime: Mapping[str, Any]) -> list[int]:
    """Encode batches on all cores, but write them in the order of the data; return the rows of each split."""
    reported, done = time.monotonic(), 0

    def work(item: tuple[Any, int]) -> list[tuple[pa.Buffer, int]]:
        return _divide(table, splitter, *item)

    with ExitStack() as stack:
        writers = [stack.enter_context(ExampleWriter(split_directory(target, split))) for split in SPLITS]
        for parts in in_order(work, _numbered(table.batches()), _workers()):
            for writer, (framed, count) in zip(writers, parts, strict=True):
                writer.write_framed(framed, count)
                done += count
            if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                reported = time.monotonic()
                progress.report(runtime, "ExampleGen", f"{done:,} rows", done=done, total=table.rows or None)
    return [writer.count for writer in writers]


def _numbered(batches: Iterator[Any]) -> Iterator[tuple[Any, int]]:
    """Yield each batch with the index of its first row in the whole data set."""
    start = 0
    for batch in batches:
        yield batch, start
        start += len(batch) if isinstance(batch, pa.Array) else batch.num_rows


def _divide(table: Table, splitter: Splitter, batch: Any, start: int) -> list[tuple[pa.Buffer, int]]:
    """Return the framed records of each split, and how many they are."""
    records = table.records(batch)
    payloads = records.to_pylist()
    training = splitter(payloads, lambda: table.typed(batch), start)
    parts = []
    for chosen in (training, ~training):
        mask = pa.array(chosen)
        parts.append((frame(pc.filter(records, mask), list(itertools.compress(payloads, chosen))), int(chosen.sum())))
    return parts


def in_order(work: Callable[[_Item], _Result], items: Iterator[_Item], workers: int) -> Iterator[_Result]:
    """Yield `work(item)` for each item in order, computed by threads; few items are in memory at a time."""
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="ingest") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _workers() -> int:
    # More threads than this only wait for Python's lock.
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _write_quarantine(bad: list[bad_rows.BadRow], target: Path) -> str:
    path = target / QUARANTINE_FILE
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(bad_rows.FIELDS)
        writer.writerows(row.fields() for row in bad)
    return str(path)


def write_summary(summary: Mapping[str, Any], target: Path) -> None:
    """Write `summary.json` beside the splits."""
    (target / "summary.json").write_text(json.dumps(summary, indent=2))
