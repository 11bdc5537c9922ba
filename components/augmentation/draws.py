"""Random numbers that follow from a seed alone, so that a training that goes on draws what it would have drawn."""

from __future__ import annotations

from typing import Any


class Draws:
    """A stream of random tensors: the same seed and the same calls in the same order give the same numbers.

    Keras's own preprocessing layers count on in a variable instead, which a run that goes on after a crash would have
    to restore for every thread that reads data.

    Args:
        seed: int64 `[2]`.

    Example:
        >>> first, second = Draws([0, 1]), Draws([0, 1])
        >>> bool((first.uniform([3]) == second.uniform([3])).numpy().all())
        True
        >>> bool((first.uniform([3]) == Draws([0, 1]).uniform([3])).numpy().any())
        False
    """

    def __init__(self, seed: Any) -> None:
        self._seed = seed
        self._calls = 0

    def of(self, number: Any) -> Draws:
        """Return another stream: of an epoch, a step, an input."""
        import tensorflow as tf

        return Draws(tf.random.experimental.stateless_fold_in(self._seed, number))

    def uniform(self, shape: Any, low: Any = 0.0, high: Any = 1.0) -> Any:
        """Return float32 from `low` to `high`."""
        import tensorflow as tf

        return low + (high - low) * tf.random.stateless_uniform(shape, self._next())

    def normal(self, shape: Any, stddev: float) -> Any:
        """Return float32 around 0."""
        import tensorflow as tf

        return tf.random.stateless_normal(shape, self._next(), stddev=stddev)

    def integers(self, shape: Any, low: int, high: int) -> Any:
        """Return int32 from `low` to `high`, both included."""
        import tensorflow as tf

        return tf.random.stateless_uniform(shape, self._next(), low, high + 1, tf.int32)

    def beta(self, rows: Any, alpha: float) -> Any:
        """Return float32 `[rows]` of Beta(alpha, alpha)."""
        import tensorflow as tf

        # float64: for a small alpha a gamma variable can be smaller than float32 can hold
        first, second = (
            tf.random.stateless_gamma([rows], self._next(), tf.constant(alpha, tf.float64), dtype=tf.float64)
            for _ in range(2)
        )
        return tf.cast(tf.math.divide_no_nan(first, first + second), tf.float32)

    def chosen(self, rows: Any, fraction: float) -> Any:
        """Return which rows are chosen when that is each one's chance, bool `[rows]`."""
        return self.uniform([rows]) < fraction

    def order(self, rows: Any) -> Any:
        """Return the numbers of the rows in random order, int32 `[rows]`."""
        import tensorflow as tf

        return tf.argsort(self.uniform([rows]))

    def _next(self) -> Any:
        self._calls += 1
        return self.of(self._calls)._seed
