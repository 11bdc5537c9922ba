"""Turn several categories of one row into a vector of zeros and ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class MultiHot(TransformStep):
    """Gives each category a place of its own; the vector holds 1.0 at every category that the row has.

    Use it for a column with several values in a cell (genres, tags, diagnoses), behind `tokenize: {separator: "|"}`.
    For one value in a cell take `one_hot`; to count how often a token occurs, `bag_of_words`. The order of the values
    is lost, and a value that occurs twice counts once.

    Args:
        top_k: the most frequent categories of the training data have a place each; from 1 to 100,000.
        oov_buckets: how many places all others share, also those first seen at serving, by their hash; from 0, which
            leaves them out.
        min_frequency: how often a category must occur in the training data to have a place; from 1.

    Shapes:
        tokens `[batch, any]` to a vector `[batch, top_k + oov_buckets]`, those of `oov_buckets` last. A row without a
        value is all zeros.

    Example:
        >>> MultiHot(top_k=20, oov_buckets=2).width
        22
    """

    shorthand: ClassVar[str | None] = "top_k"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"tokens"})
    makes: ClassVar[Kind | None] = "vector"

    top_k: int = Field(default=1000, ge=1, le=100_000)
    oov_buckets: int = Field(default=0, ge=0, le=100_000)
    min_frequency: int = Field(default=1, ge=1)

    @property
    def width(self) -> int:
        """Width of the vector."""
        return self.top_k + self.oov_buckets

    def gives_shape(self, shape: tuple[int, ...] | None) -> tuple[int, ...]:
        """Return the width."""
        del shape
        return (self.width,)

    def apply(self, column: Column) -> Column:
        """Return the vectors."""
        import tensorflow as tf
        import tensorflow_transform as tft

        from components.transform.tokens import spread, token_places

        found = token_places(column, self.top_k, self.min_frequency)
        if self.oov_buckets:
            others = self.top_k + tft.hash_strings(column.values.values, self.oov_buckets)
            found = found.with_values(tf.where(found.values < 0, others, found.values))
        found = tf.sparse.retain(found, found.values >= 0)
        ones = tf.ones_like(found.values, tf.float32)
        counts = spread(found.indices[:, 0], found.values, ones, (found.dense_shape[0], self.width))
        return column.with_values(tf.minimum(counts, 1.0), kind="vector")
