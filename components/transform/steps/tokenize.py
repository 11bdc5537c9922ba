"""Cut text into words or characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from components.transform.step import TEXT, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column

SEPARATORS = {"words": r"[^\p{L}\p{M}\p{N}_]+", "spaces": r"[\s\p{Z}]+"}


class Tokenize(TransformStep):
    """Cuts text into tokens, in their order.

    Use it behind `normalize_text`, and before `tf_idf`, `bag_of_words` or `token_ids`. `words` suits languages that
    put spaces between words; for Chinese, Japanese or Thai, and for misspelt or very short text, take `characters`,
    with `ngrams` behind it. Missing text has no tokens.

    Put `word_pieces` behind `words` to cut rare words into frequent parts. Several values in one cell (`red|blue`) are
    cut with `separator`, and `multi_hot` goes behind them.

    Args:
        unit: `words`: runs of letters, digits and `_`, without punctuation (`don't` is two); `spaces`: what stands
            between spaces; `characters`: Unicode code points, spaces too. `words` by default.
        separator: instead, the text that stands between two tokens; spaces around a token do not count, and empty
            tokens are left out.

    Shapes:
        text `[batch, 1]` to tokens `[batch, any]`.

    Raises:
        ValueError: both `unit` and `separator` are given.

    Example:
        >>> Tokenize(separator="|").unit is None
        True
    """

    shorthand: ClassVar[str | None] = "unit"
    accepts: ClassVar[frozenset[Kind]] = TEXT
    makes: ClassVar[Kind | None] = "tokens"

    unit: Literal["words", "spaces", "characters"] | None = None
    separator: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> Tokenize:
        if self.unit is not None and self.separator is not None:
            raise ValueError(f"either unit or separator, got unit: {self.unit} and separator: {self.separator!r}")
        return self

    def apply(self, column: Column) -> Column:
        """Return the tokens."""
        import tensorflow as tf

        text = tf.reshape(tf.where(column.present, column.values, ""), [-1])
        if self.separator is not None:
            parts = tf.strings.split(text, self.separator)
            parts = parts.with_flat_values(tf.strings.strip(parts.flat_values))
            tokens = tf.ragged.boolean_mask(parts, parts != "")
        elif self.unit == "characters":
            tokens = tf.strings.unicode_split(text, "UTF-8")
        else:
            tokens = tf.strings.split(tf.strings.regex_replace(text, SEPARATORS[self.unit or "words"], " "))
        return column.with_values(tokens.to_sparse(), kind="tokens")
