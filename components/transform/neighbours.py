"""Average the nearest rows of a sample, inside the transform graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

Metric = Literal["euclidean", "manhattan"]

BLOCK_ROWS = 256
"""Rows whose distances are computed at a time: 2 MB with a sample of 1000, 20 MB with 10,000."""


@dataclass(frozen=True)
class Neighbours:
    """The sample, as analysis leaves it in the graph.

    Args:
        points: float64 `[m, width]`, NaN where missing; exact, so that rows that are equally far stay so.
        targets: float32 `[m]`, what is averaged.
        counts: int64 `[m]`, how often each row occurs.
        k: how many neighbours.
        metric: `euclidean` or `manhattan`; over the coordinates that both rows have.
        fallback: scalar, for a row that shares no coordinate with any of the sample.
    """

    points: tf.Tensor
    targets: tf.Tensor
    counts: tf.Tensor
    k: int
    metric: Metric
    fallback: tf.Tensor

    def average(self, points: tf.Tensor) -> tf.Tensor:
        """Return the mean target of the k nearest rows, of all where there are fewer.

        Args:
            points: float64 `[n, width]`, NaN where missing.

        Returns:
            float32 `[n]`.
        """
        rows = tf.shape(points)[0]
        width = points.shape[1]
        blocks = tf.reshape(tf.pad(points, [[0, -rows % BLOCK_ROWS], [0, 0]]), [-1, BLOCK_ROWS, width])
        found = tf.map_fn(self._average_block, blocks, fn_output_signature=tf.TensorSpec([BLOCK_ROWS], tf.float32))
        return tf.reshape(found, [-1])[:rows]

    def _average_block(self, points: tf.Tensor) -> tf.Tensor:
        distances = self._distances(points)
        nearest, places = tf.math.top_k(-distances, tf.minimum(self.k, tf.shape(self.targets)[0]))
        # a row that occurs n times is n neighbours, up to k of all
        counts = tf.where(tf.math.is_finite(nearest), tf.gather(self.counts, places), 0)
        before = tf.cumsum(counts, axis=1, exclusive=True)
        weights = tf.cast(tf.clip_by_value(self.k - before, 0, counts), tf.float64)
        total = tf.reduce_sum(weights, axis=1)
        sums = tf.reduce_sum(weights * tf.cast(tf.gather(self.targets, places), tf.float64), axis=1)
        fallback = tf.cast(self.fallback, tf.float64)
        return tf.cast(tf.where(total > 0, tf.math.divide_no_nan(sums, total), fallback), tf.float32)

    def _distances(self, points: tf.Tensor) -> tf.Tensor:
        """Return what grows with the distance, float64 `[n, m]`: the mean over the coordinates that both have.

        The root that the Euclidean distance has changes no order.
        """
        total = seen = tf.zeros([1, 1], tf.float64)
        for place in range(points.shape[1]):
            gap = points[:, place, tf.newaxis] - self.points[:, place]
            known = tf.math.is_finite(gap)
            size = tf.abs(gap) if self.metric == "manhattan" else tf.square(gap)
            total += tf.where(known, size, 0.0)
            seen += tf.cast(known, tf.float64)
        return tf.where(seen > 0, tf.math.divide_no_nan(total, seen), float("inf"))
