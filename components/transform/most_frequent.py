"""Find the most frequent value of a column: a TFT combiner, which TFT's Beam and the Arrow engine both run."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers

Counts = collections.Counter[Any]


def most_frequent(values: tf.Tensor) -> tf.Tensor:
    """Return the most frequent value as a scalar; 0 or empty text when there is no value.

    Of equally frequent values it is the largest number, or the text whose bytes sort last. TFT's `vocabulary` would
    do too, but leaves a file and a table in the graph for one value.

    Args:
        values: float32 or string, `[n]`.
    """
    # TFT names an analyzer after its scope
    with tf.compat.v1.name_scope(None, "most_frequent"):
        (found,) = analyzers._apply_cacheable_combiner(MostFrequent(values.dtype.name), values)
    return found


class MostFrequent(analyzer_nodes.Combiner):
    """Counts the different values of each batch.

    Args:
        dtype: name of the values' type, `string` or `float32`.
    """

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype

    def create_accumulator(self) -> Counts:
        """Return an empty count."""
        return collections.Counter()

    def add_input(self, accumulator: Counts, batch_values: Sequence[np.ndarray]) -> Counts:
        """Count the values of one batch."""
        (values,) = batch_values
        kind = pa.binary() if self._dtype == "string" else pa.float32()
        counted = pc.value_counts(pa.array(np.ravel(values), kind))
        accumulator.update(dict(zip(*(counted.field(name).to_pylist() for name in ("values", "counts")), strict=True)))
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Counts]) -> Counts:
        """Add counts up."""
        total = self.create_accumulator()
        for accumulator in accumulators:
            total.update(accumulator)
        return total

    def extract_output(self, accumulator: Counts) -> list[np.ndarray]:
        """Return the most frequent value."""
        nothing: Any = b"" if self._dtype == "string" else 0.0
        value = max(accumulator, key=lambda each: (accumulator[each], each), default=nothing)
        return [np.array(value, object if self._dtype == "string" else np.float32)]

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the type of the one output."""
        return [analyzer_nodes.TensorInfo(tf.as_dtype(self._dtype), [], None)]
