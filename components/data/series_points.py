"""The values of time series in order: sorted by series and time, on a regular step, with missing ones as NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.catalog import nearest
from components.data.series_config import SeriesConfig
from components.errors import Problem, SpecError

_MICROSECONDS = 1_000_000
_GAPS_PER_VALUE = 100
"""A step that leaves more gaps than this for each value is a mistake, and would fill the memory."""


@dataclass
class Points:
    """All series, one behind the other.

    Args:
        times: of each position; microseconds since 1970 where the data have ISO times.
        values: [values of a row, positions], NaN where there is none.
        starts: where each series begins, and the end of the last one.
        names: name of each series; one null when there is no column `by`.
        time_unit: `D`, `s` or `us` where times are dates or times, else None.
    """

    times: np.ndarray
    values: np.ndarray
    starts: np.ndarray
    names: pa.Array
    time_unit: Literal["D", "s", "us"] | None

    @property
    def time_dtype(self) -> str:
        """Type of the time column in an example."""
        return "bytes" if self.time_unit else "int64" if self.times.dtype.kind == "i" else "float32"

    @property
    def by_dtype(self) -> str:
        """Type of the column that names the series."""
        return "bytes" if pa.types.is_binary(self.names.type) else str(self.names.type).replace("float", "float32")

    def time_column(self, at: np.ndarray) -> pa.Array:
        """Return the times of positions as an example holds them."""
        if self.time_unit is None:
            return pa.array(self.times[at])
        text = np.datetime_as_string(self.times[at].view("datetime64[us]"), unit=self.time_unit)
        return pa.array(text.astype(object)).cast(pa.binary())

    def by_column(self, at: np.ndarray) -> pa.Array:
        """Return the name of the series at each position."""
        return self.names.take(pa.array(np.searchsorted(self.starts, at, side="right") - 1))


def read_points(table: Any, config: SeriesConfig) -> Points:
    """Read and sort the series.

    Args:
        table: raw data; see `components.data.ingest.Table`.
        config: section `data.series`.

    Raises:
        SpecError: a column is missing or of the wrong kind, a time stands twice, is missing, or is off the step.
    """
    wanted = [config.time, *config.values, *([config.by] if config.by else [])]
    _check_columns(table, config, wanted)
    parts = [table.typed(batch) for batch in table.batches(wanted)]
    columns = {name: _joined([_plain(part, name) for part in parts]) for name in wanted}
    if not len(columns[config.time]):
        raise SpecError([Problem("data.path", "data without a row", "the values of a series", "Check the files.")])
    times, unit = _times(columns[config.time], config)
    values = np.stack([_numbers(columns[name]) for name in config.values])
    codes, names = _series(columns[config.by] if config.by else None, len(times), config)
    order = np.lexsort((times, codes))
    times, values, codes = times[order], values[:, order], codes[order]
    starts = np.searchsorted(codes, np.arange(len(names) + 1))
    points = Points(times, values, starts, names, unit)
    same = np.flatnonzero((times[1:] == times[:-1]) & (codes[1:] == codes[:-1]))
    if len(same):
        raise _twice(points, config, same)
    return points if config.step is None else _on_step(points, config)


def _check_columns(table: Any, config: SeriesConfig, wanted: list[str]) -> None:
    roles = {config.time: "time", config.by: "by"}
    problems = []
    for name in wanted:
        where = f"data.series.{roles.get(name, 'values')}"
        if name not in table.columns:
            guess = nearest(name, list(table.columns))
            remedy = f"Did you mean {guess!r}?" if guess else "Correct the name."
            expected = f"one of {', '.join(table.columns)}"
            problems.append(Problem(where, f"column {name!r}, which the data do not have", expected, remedy))
        elif where == "data.series.values" and table.columns[name] == "bytes":
            problems.append(
                Problem(where, f"column {name!r}, which holds text", "numbers or nothing", "Name a column of numbers.")
            )
    if problems:
        raise SpecError(problems)


def _plain(part: pa.RecordBatch, name: str) -> pa.Array:
    if name not in part.schema.names:
        return pa.nulls(part.num_rows)
    column = part.column(name)
    if pa.types.is_list(column.type):
        received = f"column {name!r} with lists of values"
        raise SpecError([Problem("data.series", received, "one value per row", "Give each value a row of its own.")])
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _joined(chunks: list[pa.Array]) -> pa.Array:
    kinds = {chunk.type for chunk in chunks if not pa.types.is_null(chunk.type)}
    kind = pa.float64() if len(kinds) > 1 else next(iter(kinds), pa.float64())
    return pa.chunked_array([chunk.cast(kind) for chunk in chunks], kind).combine_chunks()


def _numbers(column: pa.Array) -> np.ndarray:
    return np.asarray(column.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False))


def _times(column: pa.Array, config: SeriesConfig) -> tuple[np.ndarray, Literal["D", "s", "us"] | None]:
    """Return sortable times: those of ISO text in microseconds, numbers as they are."""
    where, remedy = "data.series.time", "Write times as 2024-05-31, 2024-05-31 10:00:00, or as numbers."
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        received = f"{column.null_count} rows without {config.time!r}; the first is row {row + 1}"
        raise SpecError([Problem(where, received, "a time in every row", "Add it, or remove these rows.")])
    if not pa.types.is_binary(column.type):
        if isinstance(config.step, str):
            received = f"{config.step!r}, and numbers in {config.time!r}"
            raise SpecError([Problem("data.series.step", received, "a number, as the times", "Leave out the unit.")])
        return np.asarray(column.to_numpy(zero_copy_only=False)), None
    text = column.cast(pa.string())
    if isinstance(config.step, float):
        received, expected = f"{config.step:g}, and dates or times in {config.time!r}", "a duration such as 15min or 7d"
        raise SpecError([Problem("data.series.step", received, expected, "Give it a unit.")])
    try:
        micros = pc.cast(text, pa.timestamp("us")).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        micros = _zoned(text, where, remedy)
    if pc.max(pc.utf8_length(text)).as_py() == len("2024-05-31"):
        return micros, "D"
    return micros, "us" if (micros % _MICROSECONDS).any() else "s"


def _zoned(text: pa.Array, where: str, remedy: str) -> np.ndarray:
    """Return times with a zone, in UTC."""
    try:
        return np.asarray(pc.cast(text, pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy())
    except pa.ArrowInvalid as error:
        raise SpecError([Problem(where, f"a time that is none ({error})", "ISO times or numbers", remedy)]) from error


def _series(column: pa.Array | None, rows: int, config: SeriesConfig) -> tuple[np.ndarray, pa.Array]:
    """Return the number of each row's series, in the order in which they appear, and their names."""
    if column is None:
        return np.zeros(rows, np.int64), pa.nulls(1)
    if column.null_count:
        received = f"{column.null_count} rows without {config.by!r}"
        raise SpecError([Problem("data.series.by", received, "the name of a series in every row", "Add it.")])
    encoded = column.dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def _twice(points: Points, config: SeriesConfig, same: np.ndarray) -> SpecError:
    time = points.time_column(same[:1])[0].as_py()
    shown = time.decode() if isinstance(time, bytes) else time
    of = f" of {points.by_column(same[:1])[0].as_py()!r}" if config.by else ""
    received = f"{len(same):,} times that stand twice; the first is {shown}{of}"
    remedy = "Remove the second rows." if config.by else "Name the column that tells the series apart: data.series.by."
    return SpecError([Problem("data.series.time", received, "each time once in a series", remedy)])


def _on_step(points: Points, config: SeriesConfig) -> Points:
    """Return the points with one position for each step, so that gaps are missing values."""
    step = float(config.step_seconds or 0) * (_MICROSECONDS if points.time_unit else 1)
    times, values, starts = [], [], [0]
    for start, end in zip(points.starts, points.starts[1:]):  # noqa: B905 - the second is one shorter
        if end == start:
            starts.append(starts[-1])
            continue
        own = points.times[start:end]
        exact = (own - own[0]) / step
        place = np.round(exact).astype(np.int64)
        off = np.flatnonzero(np.abs(exact - place) > 1e-6)
        if len(off):
            raise _off_step(points, config, start + off)
        if place[-1] > _GAPS_PER_VALUE * len(own):
            received = f"{config.step!r}, which leaves {place[-1] + 1 - len(own):,} gaps between {len(own):,} values"
            raise SpecError([Problem("data.series.step", received, "the time between two values", "Correct it.")])
        dense = np.full((len(values_of := points.values[:, start:end]), place[-1] + 1), np.nan)
        dense[:, place] = values_of
        values.append(dense)
        times.append((own[0] + np.arange(place[-1] + 1) * step).astype(own.dtype))
        starts.append(starts[-1] + dense.shape[1])
    joined = np.concatenate(times), np.concatenate(values, axis=1)
    return Points(*joined, np.asarray(starts), points.names, points.time_unit)


def _off_step(points: Points, config: SeriesConfig, off: np.ndarray) -> SpecError:
    time = points.time_column(off[:1])[0].as_py()
    shown = time.decode() if isinstance(time, bytes) else time
    received = f"{config.step!r}, but {len(off):,} rows lie between two steps; the first is at {shown}"
    remedy = "Correct the step, or leave it out: then each row is one step."
    return SpecError([Problem("data.series.step", received, "a step that all times are multiples of", remedy)])
