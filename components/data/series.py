"""Time series to rows: one row per window of past values, with the value to come; training windows end before eval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.config import SplitConfig
from components.data.series_config import SeriesConfig
from components.data.series_points import Points, read_points
from components.engine.encoder import encode_examples
from components.errors import Problem, SpecError

_CELLS = 1 << 20
"""Values in a batch of windows."""


class SeriesTable:
    """The windows of a table of series, as rows.

    The values of the series are in memory, 8 bytes each; their windows are made batch by batch.

    Args:
        table: the raw data.
        config: section `data.series`.
        split: section `data.split`; it goes by time.

    Raises:
        SpecError: a column is missing or of the wrong kind, a time stands twice or is off the step, or no window is
            whole.
    """

    def __init__(self, table: Any, config: SeriesConfig, split: SplitConfig) -> None:
        self.config = config
        self.raw_rows = table.rows
        self.points = read_points(table, config)
        self.filled = _fill_forward(self.points, config.fill_forward)
        candidates = self._candidates()
        whole = candidates[self._is_whole(candidates)]
        training, purged = _training(self.points.times[whole], self.points.times[whole + config.ahead], split)
        self.origins = whole[~purged]
        self.training = training[~purged]
        self.rows = len(self.origins)
        self.counts = {
            "series": len(self.points.starts) - 1,
            "values": int(np.isfinite(self.points.values).sum()),
            "filled": int((np.isfinite(self.filled) & ~np.isfinite(self.points.values)).sum()),
            "windows": self.rows,
            "dropped_gap": len(candidates) - len(whole),
            "dropped_purge": int(purged.sum()),
        }
        if not self.rows:
            raise self._no_window(len(candidates))

    def _candidates(self) -> np.ndarray:
        """Return where windows end: positions with enough values before and after them in their series."""
        first, last = self.config.oldest_needed - 1, self.config.ahead
        starts = self.points.starts
        ranges = [
            np.arange(start + first, end - last, self.config.every)
            for start, end in zip(starts, starts[1:])  # noqa: B905
        ]
        return np.concatenate(ranges).astype(np.int64)

    def _is_whole(self, at: np.ndarray) -> np.ndarray:
        """Return which windows have what they need."""
        to_come = np.isfinite(self.points.values[:, at + self.config.ahead])
        if self.config.gaps == "keep":
            return np.asarray(to_come.any(axis=0))
        missing = (~np.isfinite(self.filled)).any(axis=0)
        before = np.concatenate([[0], np.cumsum(missing)])
        return np.asarray(to_come.all(axis=0) & (before[at + 1] == before[at + 1 - self.config.oldest_needed]))

    def _no_window(self, candidates: int) -> SpecError:
        config, longest = self.config, int(np.diff(self.points.starts).max(initial=0))
        if candidates:
            received = f"{candidates:,} windows, each with a gap in it or without a value to predict"
            remedy = "Set data.series.fill_forward, data.series.gaps: keep, or a shorter data.series.past."
        else:
            received = f"series of at most {longest:,} values"
            remedy = "Use more data, or smaller data.series.past, ahead or rolling.window."
        expected = f"one with {config.oldest_needed} values and one {config.ahead} steps after them"
        return SpecError([Problem("data.series", received, expected, remedy)])

    @property
    def columns(self) -> dict[str, str]:
        """Name and type of each column."""
        made = dict.fromkeys((*self.config.feature_columns, *self.config.label_columns), "float32")
        by = {self.config.by: self.points.by_dtype} if self.config.by else {}
        return {self.config.time: self.points.time_dtype, **by, **made}

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the windows, series by series, each in the order of time."""
        wanted = list(self.columns if columns is None else columns)
        size = max(1, _CELLS // len(self.columns))
        for start in range(0, self.rows, size):
            yield self._rows(self.origins[start : start + size], wanted)

    def typed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch: its columns are those of examples."""
        return batch

    def records(self, batch: pa.RecordBatch) -> pa.BinaryArray:
        """Return a batch as serialized tf.Examples."""
        return encode_examples(batch)

    def _rows(self, at: np.ndarray, wanted: Sequence[str]) -> pa.RecordBatch:
        made: dict[str, Any] = {self.config.time: self.points.time_column(at)}
        if self.config.by:
            made[self.config.by] = self.points.by_column(at)
        for name, raw, filled in zip(self.config.values, self.points.values, self.filled, strict=True):
            made |= {f"{name}_lag_{lag}": filled[at - lag + 1] for lag in range(1, self.config.past + 1)}
            for window, of in self.config.rolled:
                newest = np.lib.stride_tricks.sliding_window_view(filled, window)[at - window + 1]
                made[f"{name}_{of}_{window}"] = getattr(np, of)(newest, axis=1)
            made[f"{name}_ahead_{self.config.ahead}"] = raw[at + self.config.ahead]
        return pa.RecordBatch.from_arrays([_column(made[name]) for name in wanted], names=list(wanted))


def _column(values: Any) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    array = pa.array(values.astype(np.float32))
    return pc.if_else(pc.is_nan(array), pa.scalar(None, pa.float32()), array)


def _fill_forward(points: Points, limit: int) -> np.ndarray:
    """Return the values, with missing ones replaced by the last before them in their series, not older than limit."""
    filled = points.values.copy()
    place = np.arange(filled.shape[1])
    own_start = np.repeat(points.starts[:-1], np.diff(points.starts))
    for row in filled if limit else ():
        last = np.maximum.accumulate(np.where(np.isfinite(row), place, -1))
        usable = ~np.isfinite(row) & (last >= own_start) & (place - last <= limit)
        row[usable] = row[last[usable]]
    return filled


def _training(times: np.ndarray, label_times: np.ndarray, split: SplitConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return which windows are for training, and which of these are left out: they look into the time of evaluation.

    A window's time is that of its newest known value, so nothing in a training window is from the first evaluated
    window's time or later.
    """
    first = round(len(times) * split.train / (split.train + split.eval))
    if first >= len(times):
        return np.ones(len(times), bool), np.zeros(len(times), bool)
    cut = np.sort(times)[first]
    training = times < cut
    return training, training & (label_times >= cut)
