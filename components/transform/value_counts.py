"""Learn exact quantiles and the best Yeo-Johnson power: TFT combiners that count values, for both engines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers

MOST_BINS = 32_768
"""Different values that are counted one by one; of more, neighbours are counted together, by their mean."""


def exact_quantiles(values: tf.Tensor, probabilities: Sequence[float]) -> tf.Tensor:
    """Return the quantiles, `[len(probabilities)]`, interpolated as numpy does; NaN when there is no value.

    TFT's `quantiles` returns a value near the rank; this is the rank itself, as long as at most MOST_BINS different
    values occur, and 1 / MOST_BINS of a quantile off beyond.

    Args:
        values: float32 `[n]`.
        probabilities: each from 0 to 1.
    """
    # TFT names an analyzer after its scope
    with tf.compat.v1.name_scope(None, "exact_quantiles"):
        (found,) = analyzers._apply_cacheable_combiner(Quantiles(probabilities), values)
    return found


def yeo_johnson_power(values: tf.Tensor) -> tf.Tensor:
    """Return the power under which the values are most likely normal, a scalar; 1 when it makes no difference.

    Args:
        values: float32 `[n]`.
    """
    with tf.compat.v1.name_scope(None, "yeo_johnson_power"):
        (found,) = analyzers._apply_cacheable_combiner(YeoJohnsonPower(), values)
    return found


@dataclass(frozen=True)
class Counts:
    """How often each value occurs, ascending.

    Args:
        shift: how many bits of the values' float32 pattern are left out to find the ones counted together.
        keys: bits of the values, an integer that orders as the values do.
        counts: rows of each.
        sums: of the values of each.
    """

    shift: int
    keys: np.ndarray
    counts: np.ndarray
    sums: np.ndarray

    @property
    def means(self) -> np.ndarray:
        """The values."""
        return self.sums / self.counts


class ValueCounts(analyzer_nodes.Combiner):
    """Counts values; when there are too many different ones, leaves out the last bits of all of them.

    How many bits that is depends on the whole data alone, and not on how they are cut into batches.
    """

    def create_accumulator(self) -> Counts:
        """Return an empty count."""
        return Counts(0, np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))

    def add_input(self, accumulator: Counts, batch_values: Sequence[np.ndarray]) -> Counts:
        """Count the values of one batch."""
        values = np.ravel(batch_values[0]).astype(np.float32) + np.float32(0)  # one zero, not a negative one too
        bits = values.view(np.int32).astype(np.int64)
        # negative numbers are stored as sign and size, so they order backwards
        keys = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
        return _merged([accumulator, Counts(0, keys, np.ones(len(keys), np.int64), values.astype(np.float64))])

    def merge_accumulators(self, accumulators: Iterable[Counts]) -> Counts:
        """Add counts up."""
        return _merged([self.create_accumulator(), *accumulators])

    def extract_output(self, accumulator: Counts) -> list[np.ndarray]:
        """Return the one result."""
        return [np.asarray(self.result(accumulator), np.float32)]

    @abstractmethod
    def result(self, counted: Counts) -> np.ndarray | float:
        """Return what is asked of the counts."""


class Quantiles(ValueCounts):
    """Finds quantiles.

    Args:
        probabilities: each from 0 to 1.
    """

    def __init__(self, probabilities: Sequence[float]) -> None:
        self._probabilities = tuple(probabilities)

    def result(self, counted: Counts) -> np.ndarray:
        """Return numpy's linear interpolation between the two ranks beside each probability."""
        if not len(counted.keys):
            return np.full(len(self._probabilities), np.nan)
        ends = np.cumsum(counted.counts)
        ranks = np.asarray(self._probabilities) * (ends[-1] - 1)
        low, high = (counted.means[np.searchsorted(ends, end(ranks), side="right")] for end in (np.floor, np.ceil))
        return low + (high - low) * (ranks - np.floor(ranks))

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the type of the one output."""
        return [analyzer_nodes.TensorInfo(tf.float32, [len(self._probabilities)], None)]


class YeoJohnsonPower(ValueCounts):
    """Finds the power of Yeo and Johnson by maximum likelihood."""

    def result(self, counted: Counts) -> float:
        """Return the power: Brent's method from the same bracket as scikit-learn's PowerTransformer."""
        from scipy import optimize

        values, counts = counted.means, counted.counts
        rows = counts.sum()
        if len(values) < 2:
            return 1.0
        signed_logarithms = float((np.sign(values) * np.log1p(np.abs(values))) @ counts)

        def unlikeliness(power: float) -> float:
            made = yeo_johnson(values, power)
            variance = ((made - made @ counts / rows) ** 2) @ counts / rows
            if not np.isfinite(variance) or variance <= 0:
                return float("inf")
            return float(rows / 2 * np.log(variance) - (power - 1) * signed_logarithms)

        try:
            with np.errstate(all="ignore"):
                power = float(optimize.brent(unlikeliness, brack=(-2, 2)))
        except RuntimeError:  # ever likelier towards an infinite power, as of two different values
            return 1.0
        return power if np.isfinite(unlikeliness(power)) else 1.0

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the type of the one output."""
        return [analyzer_nodes.TensorInfo(tf.float32, [], None)]


def yeo_johnson(values: np.ndarray, power: float) -> np.ndarray:
    """Return the transformed values.

    Args:
        values: any numbers.
        power: 1 changes nothing, 0 is `log1p` of positive numbers, 2 the same of negative ones.
    """
    sizes = np.log1p(np.abs(values))
    # expm1 keeps the digits that x ** power - 1 loses near power 0
    powers = np.where(values >= 0, power, 2 - power)
    near_zero = np.abs(powers) < np.spacing(1.0)
    divisors = np.where(near_zero, 1.0, powers)
    return np.sign(values) * np.where(near_zero, sizes, np.expm1(powers * sizes) / divisors)


def _merged(parts: Sequence[Counts]) -> Counts:
    shift = max(part.shift for part in parts)
    keys = np.concatenate([part.keys >> (shift - part.shift) for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    sums = np.concatenate([part.sums for part in parts])
    while True:
        keys, places = np.unique(keys, return_inverse=True)
        counts = np.bincount(places, counts, len(keys)).astype(np.int64)
        sums = np.bincount(places, sums, len(keys))
        if len(keys) <= MOST_BINS:
            return Counts(shift, keys, counts, sums)
        shift, keys = shift + 1, keys >> 1
