"""Count the categories that a list does not have, or refuse them: a TFT combiner, for both engines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers

from components.errors import ComponentError
from components.transform.most_frequent import Counts, MostFrequent

SHOWN = 5


def unknown_rows(values: tf.Tensor, combiner: UnknownValues) -> tf.Tensor:
    """Return how many values there are in the training data, a float32 scalar.

    Args:
        values: those off the list, string `[n]`.
        combiner: says what is to be done about them.
    """
    # TFT names an analyzer after its scope
    with tf.compat.v1.name_scope(None, "unknown_values"):
        (found,) = analyzers._apply_cacheable_combiner(combiner, values)
    return found


class UnknownValues(MostFrequent):
    """Counts values.

    Args:
        chain: name of the chain, for the message.
        known: the list.
        refuse: whether a single one is an error.
    """

    def __init__(self, chain: str, known: Sequence[str], *, refuse: bool) -> None:
        super().__init__("string")
        self._chain = chain
        self._known = tuple(known)
        self._refuse = refuse

    def extract_output(self, accumulator: Counts) -> list[np.ndarray]:
        """Return the number of rows."""
        rows = sum(accumulator.values())
        if rows and self._refuse:
            most = sorted(accumulator.items(), key=lambda each: (-each[1], each[0]))[:SHOWN]
            shown = ", ".join(f"{value.decode('utf-8', 'replace')!r} ({count:,})" for value, count in most)
            raise ComponentError(
                f"{rows:,} training rows hold categories that ordinal does not list: {shown}"
                f"{'' if len(accumulator) <= SHOWN else ' and others'}; the list has {', '.join(self._known)}.",
                spec_path=f"transform.{self._chain}",
                remedy="Add them to the list, correct the data, or write on_unknown: missing.",
            )
        return [np.array(rows, np.float32)]

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the type of the one output."""
        return [analyzer_nodes.TensorInfo(tf.float32, [], None)]
