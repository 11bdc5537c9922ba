"""Learn from a column together with other ones: combiners that TFT's Beam and the Arrow engine both run.

Accumulators are arrays that grow with the number of different groups, not with the rows, and merge in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers

Arrays = tuple[np.ndarray, ...]

MISSING_GROUP = -1
"""Key of the rows whose group is missing: they count in the overall value only."""

NO_GROUP = -2
"""Key that no row has, where a table would be empty."""


def combined(name: str, combiner: analyzer_nodes.Combiner, *tensors: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Return what a combiner finds in the training rows.

    Args:
        name: scope that TFT names the analyzer after.
        combiner: what to compute.
        tensors: its inputs, all with the same number of rows.
    """
    with tf.compat.v1.name_scope(None, name):
        return analyzers._apply_cacheable_combiner(combiner, *tensors)


class GroupMoments(analyzer_nodes.Combiner):
    """Mean and standard deviation of each group, and of all rows.

    Takes keys int64 `[n]` and values float32 `[n]`; gives keys `[g]` in ascending order, means `[g]`, deviations
    `[g]`, and mean and deviation of all rows.

    Args:
        max_groups: how many groups are kept, the most frequent ones; of equally frequent ones, the smaller keys.
    """

    def __init__(self, max_groups: int) -> None:
        self._max_groups = max_groups

    def create_accumulator(self) -> Arrays:
        """Return no groups: keys, counts, means, sums of squared differences from the mean."""
        return (np.zeros(0, np.int64), *(np.zeros(0) for _ in range(3)))

    def add_input(self, accumulator: Arrays, batch_values: Sequence[np.ndarray]) -> Arrays:
        """Take in the rows of one batch: each is a group of one."""
        keys, values = (np.ravel(each) for each in batch_values)
        rows = (keys, np.ones(len(keys)), values.astype(np.float64), np.zeros(len(keys)))
        return self.merge_accumulators([accumulator, rows])

    def merge_accumulators(self, accumulators: Iterable[Arrays]) -> Arrays:
        """Join groups of the same key (Chan, Golub and LeVeque 1979)."""
        keys, *moments = (np.concatenate(parts) for parts in zip(*accumulators, strict=True))
        merged, group = np.unique(keys, return_inverse=True)
        return (merged, *_joined(group, len(merged), *moments))

    def extract_output(self, accumulator: Arrays) -> list[np.ndarray]:
        """Return the table and the overall values."""
        keys, counts, means, squares = accumulator
        overall = _joined(np.zeros(len(keys), np.int64), 1, counts, means, squares) if len(keys) else np.zeros((3, 1))
        kept = most_frequent(keys, counts, self._max_groups)
        deviations = np.sqrt(squares / np.maximum(counts, 1))
        return [
            *table(keys[kept], means[kept], deviations[kept]),
            np.array(overall[1][0], np.float32),
            np.array(np.sqrt(overall[2][0] / max(overall[0][0], 1)), np.float32),
        ]

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the types of the five outputs."""
        return _infos(
            (tf.int64, [None]), (tf.float32, [None]), (tf.float32, [None]), (tf.float32, []), (tf.float32, [])
        )


def _joined(group: np.ndarray, groups: int, counts: np.ndarray, means: np.ndarray, squares: np.ndarray) -> Arrays:
    """Return counts, means and sums of squares of groups that are joined to fewer."""
    total = np.bincount(group, counts, groups)
    mean = np.bincount(group, counts * means, groups) / total
    return total, mean, np.bincount(group, squares + counts * (means - mean[group]) ** 2, groups)


class GroupMedians(analyzer_nodes.Combiner):
    """The exact median of each group, and of all rows; of an even number, the smaller of the two middle values.

    Takes keys int64 `[n]` and values float32 `[n]`; gives keys `[g]` in ascending order, medians `[g]` and the median
    of all rows. Holds each different pair of group and value, at 20 bytes.

    Args:
        max_groups: as in `GroupMoments`.
    """

    def __init__(self, max_groups: int) -> None:
        self._max_groups = max_groups

    def create_accumulator(self) -> Arrays:
        """Return no pairs: keys, values, counts."""
        return np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64)

    def add_input(self, accumulator: Arrays, batch_values: Sequence[np.ndarray]) -> Arrays:
        """Take in the rows of one batch."""
        keys, values = (np.ravel(each) for each in batch_values)
        return self.merge_accumulators([accumulator, (keys, values, np.ones(len(keys), np.int64))])

    def merge_accumulators(self, accumulators: Iterable[Arrays]) -> Arrays:
        """Join equal pairs; they come out ordered by key, then value."""
        keys, values, counts = (np.concatenate(parts) for parts in zip(*accumulators, strict=True))
        order = np.lexsort((values, keys))
        keys, values, counts = keys[order], values[order], counts[order]
        first = np.append(True, (keys[1:] != keys[:-1]) | (values[1:] != values[:-1]))[: len(keys)]
        starts = np.flatnonzero(first)
        return keys[starts], values[starts], np.add.reduceat(counts, starts) if len(starts) else counts

    def extract_output(self, accumulator: Arrays) -> list[np.ndarray]:
        """Return the table and the overall median."""
        keys, values, counts = accumulator
        groups, medians, totals = _medians(keys, values, counts)
        order = np.argsort(values, kind="stable")
        _, overall, _ = _medians(np.zeros(len(keys), np.int64), values[order], counts[order])
        kept = most_frequent(groups, totals, self._max_groups)
        return [*table(groups[kept], medians[kept]), np.array(overall[0] if len(overall) else 0, np.float32)]

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the types of the three outputs."""
        return _infos((tf.int64, [None]), (tf.float32, [None]), (tf.float32, []))


def _medians(keys: np.ndarray, values: np.ndarray, counts: np.ndarray) -> Arrays:
    """Return keys, medians and counts of groups, given pairs in order."""
    groups, starts = np.unique(keys, return_index=True)
    if not len(groups):
        return keys, values, counts
    totals = np.add.reduceat(counts, starts)
    # the first pair of each group up to which half of its rows have come by
    halves = np.cumsum(totals) - totals + (totals + 1) // 2
    return groups, values[np.searchsorted(np.cumsum(counts), halves)], totals


class RowSample(analyzer_nodes.Combiner):
    """Rows for nearest neighbours: the different rows with the smallest hashes, and how often each occurs.

    Which rows are kept depends neither on their order nor on the batches, and counts are exact: a row of the final
    sample was in the sample of every part of the data that holds it. Takes hashes int64 `[n]`, targets float32 `[n]`
    and points float32 `[n, width]`, NaN where missing; gives points `[m, width]`, targets `[m]`, counts `[m]`, mean and
    deviation of the points, float64 `[width]`, and the mean of all targets.

    Args:
        size: how many different rows; those without any point coordinate are not taken.
        width: coordinates of a point.
    """

    def __init__(self, size: int, width: int) -> None:
        self._size = size
        self._width = width

    def create_accumulator(self) -> Arrays:
        """Return no rows: hashes, counts, targets, points; number and sum of all targets."""
        none = np.zeros(0, np.int64)
        return none, none, np.zeros(0, np.float32), np.zeros((0, self._width), np.float32), np.zeros(1), np.zeros(1)

    def add_input(self, accumulator: Arrays, batch_values: Sequence[np.ndarray]) -> Arrays:
        """Take in the rows of one batch."""
        hashes, targets, points = batch_values
        seen = ~np.isnan(points).all(axis=1)
        sums = np.array([len(targets)], float), np.array([targets.sum(dtype=np.float64)])
        ones = np.ones(np.count_nonzero(seen), np.int64)
        return self.merge_accumulators([accumulator, (hashes[seen], ones, targets[seen], points[seen], *sums)])

    def merge_accumulators(self, accumulators: Iterable[Arrays]) -> Arrays:
        """Count equal rows together and keep the smallest hashes."""
        hashes, counts, targets, points, rows, sums = (
            np.concatenate(parts) for parts in zip(*accumulators, strict=True)
        )
        merged, first, group = np.unique(hashes, return_index=True, return_inverse=True)
        totals = np.zeros(len(merged), np.int64)
        np.add.at(totals, group, counts)
        kept = first[: self._size]
        sampled = (merged[: self._size], totals[: self._size], targets[kept], points[kept])
        return (*sampled, rows.sum(keepdims=True), sums.sum(keepdims=True))

    def extract_output(self, accumulator: Arrays) -> list[np.ndarray]:
        """Return the sample, and what standardises it."""
        _, counts, targets, points, rows, sums = accumulator
        if not len(counts):
            counts, targets = np.zeros(1, np.int64), np.zeros(1, np.float32)
            points = np.full((1, self._width), np.nan, np.float32)
        weights = np.where(np.isnan(points), 0, counts[:, None]).astype(np.float64)
        total = np.maximum(weights.sum(axis=0), 1)
        values = np.nan_to_num(points.astype(np.float64))
        centre = (weights * values).sum(axis=0) / total
        scale = np.sqrt((weights * (values - centre) ** 2).sum(axis=0) / total)
        scale[scale == 0] = 1
        return [points, targets, counts, centre, scale, np.float32(sums[0] / max(rows[0], 1))]

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the types of the six outputs."""
        shape: list[int | None] = [self._width]
        rows = _infos((tf.float32, [None, self._width]), (tf.float32, [None]), (tf.int64, [None]))
        return rows + _infos((tf.float64, shape), (tf.float64, shape), (tf.float32, []))


def most_frequent(keys: np.ndarray, counts: np.ndarray, limit: int) -> np.ndarray:
    """Return where the most frequent groups are, in the order of their keys; rows without a group are none."""
    order = np.lexsort((keys, -counts))
    return np.sort(order[keys[order] != MISSING_GROUP][:limit])


def table(keys: np.ndarray, *columns: np.ndarray) -> list[np.ndarray]:
    """Return a table of at least one row, since nothing can be gathered from an empty one."""
    if not len(keys):
        return [np.array([NO_GROUP]), *(np.zeros((1, *column.shape[1:]), np.float32) for column in columns)]
    return [keys, *(column.astype(np.float32) for column in columns)]


def _infos(*kinds: tuple[Any, list[int | None]]) -> list[analyzer_nodes.TensorInfo]:
    return [analyzer_nodes.TensorInfo(dtype, shape, None) for dtype, shape in kinds]
