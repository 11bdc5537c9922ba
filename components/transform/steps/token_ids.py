"""Give each word of a text an id, in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class TokenIds(TransformStep):
    """Numbers the tokens of a text, cut or padded to one length; the model embeds them.

    Use it where the model shall learn what words mean, or needs their order. With few texts `tf_idf` does better. 0 is
    padding, 1 the most frequent token of the training data, and so on; tokens outside the vocabulary, also those first
    seen at serving, share `oov_buckets` ids after the last one.

    Args:
        top_k: how many tokens have an id, at most; from 1.
        length: ids per text; from 2 to 100,000. Of longer text the beginning is kept, shorter text is padded at the
            end.
        oov_buckets: how many ids all other tokens share, by their hash; from 1.
        min_frequency: how often a token must occur in the training data to have an id; from 1.

    Shapes:
        tokens `[batch, any]` to a sequence `[batch, length]`, cardinality: 1 + size of the vocabulary +
        `oov_buckets`. A text without tokens is all 0.

    Example:
        >>> TokenIds(top_k=5000, length=64).oov_buckets
        1
    """

    shorthand: ClassVar[str | None] = "length"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"tokens"})
    makes: ClassVar[Kind | None] = "sequence"

    top_k: int = Field(default=10_000, ge=1)
    length: int = Field(default=128, ge=2, le=100_000)
    oov_buckets: int = Field(default=1, ge=1)
    min_frequency: int = Field(default=1, ge=1)

    def gives_shape(self, shape: tuple[int, ...] | None) -> tuple[int, ...]:
        """Return the length."""
        del shape
        return (self.length,)

    def apply(self, column: Column) -> Column:
        """Return the ids."""
        import tensorflow as tf
        import tensorflow_transform as tft

        from components.transform.tokens import as_ragged, vocabulary_of

        file = vocabulary_of(column, self.top_k, self.min_frequency)
        ids = tft.apply_vocabulary(column.values.values, file, num_oov_buckets=self.oov_buckets)
        padded = as_ragged(column.values).with_flat_values(ids + 1).to_tensor(0, shape=[None, self.length])
        known = tf.cast(tft.get_num_buckets_for_transformed_feature(ids), tf.int64)
        return column.with_values(tf.ensure_shape(padded, [None, self.length]), kind="sequence", cardinality=known + 1)
