"""Nearest rows of a table: by their numbers alone, or by numbers and categories together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

BLOCK_VALUES = 1 << 24
"""Distances that are held at a time, 128 MB."""


def nearest(points: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """Return the `k` nearest points of each query by Euclidean distance, nearest first.

    Args:
        points: `[points, numbers]`, at least `k`.
        queries: `[queries, numbers]`.
        k: how many.

    Example:
        >>> nearest(np.array([[0.0], [1.0], [5.0]]), np.array([[0.9]]), 2).tolist()
        [[1, 0]]
    """
    from scipy.spatial import KDTree

    if not points.shape[1]:
        return np.tile(np.arange(k), (len(queries), 1))
    found: np.ndarray = KDTree(points).query(queries, k=list(range(1, k + 1)), workers=-1)[1]
    return found


def nearest_mixed(numbers: np.ndarray, categories: np.ndarray, penalty: float, k: int) -> np.ndarray:
    """Return the `k` nearest other rows of each row, nearest first, when a differing category adds to the distance.

    Every row is compared with every other one: 10,000 rows of 10 columns take about a second, 100,000 two minutes.

    Args:
        numbers: `[rows, numbers]`.
        categories: `[rows, categories]`, whole numbers that mean nothing but equal or not.
        penalty: what a category that differs adds to the squared distance.
        k: how many, less than there are rows.
    """
    rows = len(numbers)
    # from the middle: the difference of two large squares would lose what tells near points apart
    numbers = numbers - numbers.mean(axis=0) if numbers.shape[1] else numbers
    squares = (numbers**2).sum(axis=1)

    def distances(start: int, stop: int) -> np.ndarray:
        found = squares[start:stop, None] + squares - 2 * numbers[start:stop] @ numbers.T
        for column in categories.T:
            found += penalty * (column[start:stop, None] != column)
        found[np.arange(stop - start), np.arange(start, stop)] = np.inf
        return np.asarray(found)

    return np.concatenate([_smallest(distances, block, k) for block in _blocks(rows)])


def without_self(found: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return neighbours `[rows, k]` out of `[rows, k + 1]`: all but the row itself, or the last if it is not there.

    A row that has twins at no distance may not be among its own nearest.

    Example:
        >>> without_self(np.array([[7, 1, 2], [1, 2, 3]]), np.array([7, 0])).tolist()
        [[1, 2], [1, 2]]
    """
    is_self = found == own[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    return found[~is_self].reshape(len(found), -1)


def most_frequent(codes: np.ndarray) -> np.ndarray:
    """Return for each row of `codes [rows, k]` the first place of the value that stands there most often.

    Example:
        >>> most_frequent(np.array([[4, 5, 5], [1, 2, 3]])).tolist()
        [1, 0]
    """
    return np.asarray((codes[:, :, None] == codes[:, None, :]).sum(axis=2).argmax(axis=1))


def _blocks(rows: int) -> Sequence[tuple[int, int]]:
    size = max(1, BLOCK_VALUES // max(rows, 1))
    return [(start, min(start + size, rows)) for start in range(0, rows, size)]


def _smallest(distances: Callable[[int, int], np.ndarray], block: tuple[int, int], k: int) -> np.ndarray:
    found = distances(*block)
    some = np.argpartition(found, k - 1, axis=1)[:, :k]
    # equal distances: the earlier row first, so that a block's size changes nothing
    order = np.lexsort((some, np.take_along_axis(found, some, axis=1)))
    return np.take_along_axis(some, order, axis=1)
