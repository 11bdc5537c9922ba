"""Weigh the words of a text by how rare they are among all texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class TfIdf(TransformStep):
    """Gives each of the most frequent tokens of the training data a place; there stands its tf-idf weight.

    Use it for the topic of a text: with a small model it is hard to beat. Take `token_ids` where the model shall learn
    what words mean. The weight of a token is `tf * idf`: `tf` is its share of the text's tokens that have a place, and
    `idf = 1 + ln((1 + texts) / (1 + texts that have it))`, both of TFT's `tfidf`, texts counted in the train split.
    Tokens without a place, also those first seen at serving, are left out.

    With `norm: l2` the result is that of scikit-learn's `TfidfVectorizer` for the same tokens and vocabulary. With
    `norm: none` it is not: scikit-learn's `tf` is then the count itself, and not the share. Of tokens that are equally
    frequent at the last place, here the one that sorts last has it, and in scikit-learn the one that sorts first.

    Args:
        top_k: width of the vector, the tokens with a place; from 2 to 100,000. A row has 4 bytes for each.
        min_frequency: how often a token must occur in the training data to have one; from 1.
        norm: `l2` scales every text to length 1, so that long and short ones are alike; `none` does not.

    Shapes:
        tokens `[batch, any]` to a vector `[batch, top_k]`. A text without a known token is all zeros.

    Reference:
        Spärck Jones, A Statistical Interpretation of Term Specificity and Its Application in Retrieval, 1972.

    Example:
        >>> TfIdf(top_k=2000).norm
        'l2'
    """

    shorthand: ClassVar[str | None] = "top_k"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"tokens"})
    makes: ClassVar[Kind | None] = "vector"

    top_k: int = Field(default=1000, ge=2, le=100_000)
    min_frequency: int = Field(default=1, ge=1)
    norm: Literal["l2", "none"] = "l2"

    def gives_shape(self, shape: tuple[int, ...] | None) -> tuple[int, ...]:
        """Return the width."""
        del shape
        return (self.top_k,)

    def apply(self, column: Column) -> Column:
        """Return the weights."""
        import tensorflow as tf
        import tensorflow_transform as tft

        from components.transform.tokens import known_tokens, spread

        known = known_tokens(column, self.top_k, self.min_frequency)
        places, weights = tft.tfidf(known, self.top_k)
        batch = column.values.dense_shape[0]
        vectors = spread(places.indices[:, 0], places.values, weights.values, (batch, self.top_k))
        if self.norm == "l2":
            vectors = tf.math.l2_normalize(vectors, axis=1)
        return column.with_values(vectors, kind="vector")
