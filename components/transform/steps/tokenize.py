"""Cut text into words or characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from components.transform.step import TEXT, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column

SEPARATORS = {"words": r"[^\p{L}\p{M}\p{N}_]+", "spaces": r"[\s\p{Z}]+"}


class Tokenize(TransformStep):
    """Cuts text into tokens, in their order.

    Use it behind `normalize_text`, and before `tf_idf`, `bag_of_words` or `token_ids`. `words` suits languages that
    put spaces between words; for Chinese, Japanese or Thai, and for misspelt or very short text, take `characters`,
    with `ngrams` behind it. Missing text has no tokens.

    WordPiece is not among the units: its operations are tensorflow-text's own, which a plain TF Serving does not know,
    so that what was trained could not be served.

    Args:
        unit: `words`: runs of letters, digits and `_`, without punctuation (`don't` is two); `spaces`: what stands
            between spaces; `characters`: Unicode code points, spaces too.

    Shapes:
        text `[batch, 1]` to tokens `[batch, any]`.

    Example:
        >>> Tokenize(unit="characters").model_dump()
        {'tokenize': {'unit': 'characters'}}
    """

    shorthand: ClassVar[str | None] = "unit"
    accepts: ClassVar[frozenset[Kind]] = TEXT
    makes: ClassVar[Kind | None] = "tokens"

    unit: Literal["words", "spaces", "characters"] = "words"

    def apply(self, column: Column) -> Column:
        """Return the tokens."""
        import tensorflow as tf

        text = tf.reshape(tf.where(column.present, column.values, ""), [-1])
        if self.unit == "characters":
            tokens = tf.strings.unicode_split(text, "UTF-8")
        else:
            tokens = tf.strings.split(tf.strings.regex_replace(text, SEPARATORS[self.unit], " "))
        return column.with_values(tokens.to_sparse(), kind="tokens")
