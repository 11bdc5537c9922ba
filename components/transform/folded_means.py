"""Average the label per category, over all training rows and over all but those of one fold: for `target_encode`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes

from components.transform.combiners import Arrays, most_frequent, table

JUDGED_ROWS = 100
"""From how many rows on it is judged whether the rows of a category fall into several folds."""


@dataclass(frozen=True)
class Encodings:
    """What was found, `g` categories and `f` folds.

    Args:
        keys: int64 `[g]`, ascending.
        means: smoothed mean of each category, float32 `[g]`.
        means_without: the same without the rows of a fold, float32 `[g, f]`.
        overall: mean of all rows, float32 scalar.
        overall_without: the same without the rows of a fold, float32 `[f]`.
        deviation: of the label, float32 scalar.
        one_fold: share of rows in categories whose rows are all of one fold, beyond what chance does; 0 to 1.
    """

    keys: tf.Tensor
    means: tf.Tensor
    means_without: tf.Tensor
    overall: tf.Tensor
    overall_without: tf.Tensor
    deviation: tf.Tensor
    one_fold: tf.Tensor


class FoldedMeans(analyzer_nodes.Combiner):
    """Takes keys int64 `[n]`, folds int64 `[n]` and labels float32 `[n]`; gives the fields of `Encodings` in order.

    Args:
        folds: how many.
        smoothing: how many rows of the overall mean are added to each category.
        max_categories: how many are kept, the most frequent ones; of equally frequent ones, the smaller keys.
    """

    def __init__(self, folds: int, smoothing: float, max_categories: int) -> None:
        self._folds = folds
        self._smoothing = smoothing
        self._max_categories = max_categories

    def create_accumulator(self) -> Arrays:
        """Return no categories: keys, and per fold counts, sums and sums of squares."""
        return (np.zeros(0, np.int64), *(np.zeros((0, self._folds)) for _ in range(3)))

    def add_input(self, accumulator: Arrays, batch_values: Sequence[np.ndarray]) -> Arrays:
        """Take in the rows of one batch."""
        keys, folds, labels = (np.ravel(each) for each in batch_values)
        merged, category = np.unique(keys, return_inverse=True)
        cell, size = category * self._folds + folds, len(merged) * self._folds
        label = labels.astype(np.float64)
        found = (np.bincount(cell, weights, size) for weights in (np.ones(len(cell)), label, label**2))
        rows = (each.reshape(len(merged), self._folds) for each in found)
        return self.merge_accumulators([accumulator, (merged, *rows)])

    def merge_accumulators(self, accumulators: Iterable[Arrays]) -> Arrays:
        """Add up the cells of equal keys."""
        keys, *cells = (np.concatenate(parts) for parts in zip(*accumulators, strict=True))
        merged, category = np.unique(keys, return_inverse=True)
        totals = [np.zeros((len(merged), self._folds)) for _ in cells]
        for total, cell in zip(totals, cells, strict=True):
            np.add.at(total, category, cell)
        return (merged, *totals)

    def extract_output(self, accumulator: Arrays) -> list[np.ndarray]:
        """Return the encodings."""
        keys, counts, sums, squares = accumulator
        rows, total = counts.sum(), sums.sum()
        overall = total / max(rows, 1)
        left = rows - counts.sum(axis=0)
        overall_without = np.where(left > 0, (total - sums.sum(axis=0)) / np.maximum(left, 1), overall)
        count, label = counts.sum(axis=1, keepdims=True), sums.sum(axis=1, keepdims=True)
        means = self._smoothed(count, label, overall)[:, 0]
        means_without = self._smoothed(count - counts, label - sums, overall_without)
        kept = most_frequent(keys, count[:, 0], self._max_categories)
        deviation = np.sqrt(max(squares.sum() / max(rows, 1) - overall**2, 0))
        kept_keys, kept_means, kept_without = table(keys[kept], means[kept], means_without[kept])
        scalars = [np.float32(overall), overall_without.astype(np.float32), np.float32(deviation)]
        return [kept_keys, kept_means, kept_without, *scalars, np.float32(self._one_fold(counts))]

    def _smoothed(self, counts: np.ndarray, sums: np.ndarray, prior: np.ndarray) -> np.ndarray:
        weight = counts + self._smoothing
        return np.where(weight > 0, (sums + self._smoothing * prior) / np.where(weight > 0, weight, 1), prior)

    def _one_fold(self, counts: np.ndarray) -> float:
        several = counts[counts.sum(axis=1) >= 2]
        sizes = several.sum(axis=1)
        if sizes.sum() < JUDGED_ROWS:
            return 0.0
        by_chance = float((sizes * float(self._folds) ** (1 - sizes)).sum())
        observed = float(sizes[several.max(axis=1) == sizes].sum())
        return max(observed - by_chance, 0.0) / max(float(sizes.sum()) - by_chance, 1.0)

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the types of the seven outputs."""
        shapes: list[list[int | None]] = [[None], [None, self._folds], [], [self._folds], [], []]
        floats = [analyzer_nodes.TensorInfo(tf.float32, shape, None) for shape in shapes]
        return [analyzer_nodes.TensorInfo(tf.int64, [None], None), *floats]
