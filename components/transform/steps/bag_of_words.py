"""Count the words of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column

DEFAULT_TOP_K = 1000


class BagOfWords(TransformStep):
    """Counts how often each token occurs in the text, and forgets their order.

    Use it for short text, where `tf_idf` has little to weigh, and with `buckets` where the words change while serving
    or are too many to list. Different tokens may share a bucket.

    Args:
        top_k: the most frequent tokens of the training data have a place each, others are left out; from 1 to
            100,000; 1000 by default.
        buckets: instead, every token has a place by its hash, the same in every run; nothing is learned; from 2 to
            100,000.
        values: `counts`, or `binary`: 1 for every token that occurs.

    Shapes:
        tokens `[batch, any]` to a vector `[batch, top_k or buckets]`. A text without a counted token is all zeros.

    Raises:
        ValueError: both `top_k` and `buckets` are given.

    Reference:
        Weinberger et al., Feature Hashing for Large Scale Multitask Learning, 2009, https://arxiv.org/abs/0902.2206
        (here without the sign).

    Example:
        >>> BagOfWords(buckets=64).width
        64
    """

    shorthand: ClassVar[str | None] = "top_k"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"tokens"})
    makes: ClassVar[Kind | None] = "vector"

    top_k: int | None = Field(default=None, ge=1, le=100_000)
    buckets: int | None = Field(default=None, ge=2, le=100_000)
    values: Literal["counts", "binary"] = "counts"

    @model_validator(mode="after")
    def _one_of_both(self) -> BagOfWords:
        if self.top_k is not None and self.buckets is not None:
            raise ValueError(f"either top_k or buckets, got top_k: {self.top_k} and buckets: {self.buckets}")
        return self

    @property
    def width(self) -> int:
        """Width of the vector."""
        return self.buckets or self.top_k or DEFAULT_TOP_K

    def gives_shape(self, shape: tuple[int, ...] | None) -> tuple[int, ...]:
        """Return the width."""
        del shape
        return (self.width,)

    def apply(self, column: Column) -> Column:
        """Return the counts."""
        import tensorflow as tf
        import tensorflow_transform as tft

        from components.transform.tokens import known_tokens, spread

        tokens = column.values
        if self.buckets:
            counted = tf.SparseTensor(tokens.indices, tft.hash_strings(tokens.values, self.buckets), tokens.dense_shape)
        else:
            counted = known_tokens(column, self.width, 1)
        ones = tf.ones_like(counted.values, tf.float32)
        vectors = spread(counted.indices[:, 0], counted.values, ones, (tokens.dense_shape[0], self.width))
        if self.values == "binary":
            vectors = tf.minimum(vectors, 1.0)
        return column.with_values(vectors, kind="vector")
