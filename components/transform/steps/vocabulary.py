"""Give each frequent category an id."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.transform.step import TEXT, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Vocabulary(TransformStep):
    """Numbers the categories of the training data by falling frequency, 0 for the most frequent one.

    Use it for categories whose meaning the model should learn one by one. Use `hash` when there are too many to list.
    Categories outside the vocabulary, also those first seen at serving, share `oov_buckets` ids after the last one. A
    value that is still missing at the end of the chain gets one more id of its own.

    Args:
        top_k: how many categories have an id, at most; from 1.
        oov_buckets: how many ids all others share, by their hash; from 1.
        min_frequency: training rows that a category needs to have an id; from 1.

    Shapes:
        text `[batch, 1]` to ids `[batch, 1]`, cardinality: size of the vocabulary + `oov_buckets` (+ 1).

    Example:
        >>> Vocabulary(top_k=100).oov_buckets
        1
    """

    shorthand: ClassVar[str | None] = "top_k"
    accepts: ClassVar[frozenset[Kind]] = TEXT
    makes: ClassVar[Kind | None] = "ids"

    top_k: int = Field(default=1000, ge=1)
    oov_buckets: int = Field(default=1, ge=1)
    min_frequency: int = Field(default=1, ge=1)

    def apply(self, column: Column) -> Column:
        """Return the ids."""
        import tensorflow as tf
        import tensorflow_transform as tft

        file = tft.vocabulary(
            column.present_values,
            top_k=self.top_k,
            frequency_threshold=self.min_frequency if self.min_frequency > 1 else None,
            vocab_filename=column.name,
        )
        ids = tft.apply_vocabulary(column.values, file, num_oov_buckets=self.oov_buckets)
        return column.with_values(
            ids,
            kind="ids",
            cardinality=tf.cast(tft.get_num_buckets_for_transformed_feature(ids), tf.int64),
            bound=self.top_k + self.oov_buckets,
        )
