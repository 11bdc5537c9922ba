"""Write the same text in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from components.transform.step import TEXT, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class NormalizeText(TransformStep):
    """Makes lower case of text, and joins spaces; on request without accents, punctuation or digits.

    Use it before `tokenize`, and before `vocabulary` for categories that people typed (`" New  York"`). Do not lower
    the case where it tells things apart, such as tickers and codes. Nothing is learned from the data.

    Args:
        lower_case: of all alphabets that have one.
        strip_accents: `é` becomes `e`, by Unicode's NFD without its marks; letters such as `ł` and `ß` have no base
            letter and stay.
        punctuation: `remove` puts a space in place of punctuation and symbols.
        digits: `remove` puts a space in their place; `mask` a 0 for each, so that `1987` and `2026` are the same word.

    Shapes:
        text `[batch, 1]` to text `[batch, 1]`. Runs of spaces become one, at both ends none; text of which nothing is
        left is missing.

    Reference:
        Unicode Standard Annex 15, https://unicode.org/reports/tr15/ (NFD).

    Example:
        >>> NormalizeText(digits="mask").lower_case
        True
    """

    accepts: ClassVar[frozenset[Kind]] = TEXT

    lower_case: bool = True
    strip_accents: bool = False
    punctuation: Literal["keep", "remove"] = "keep"
    digits: Literal["keep", "remove", "mask"] = "keep"

    @property
    def makes_missing(self) -> bool:
        """True: nothing may be left of a text."""
        return True

    def apply(self, column: Column) -> Column:
        """Return the text in its normal form."""
        import tensorflow as tf

        text = column.values
        if self.strip_accents:
            from components.transform.tokens import without_accents

            text = tf.reshape(without_accents(tf.reshape(text, [-1])), [-1, 1])
        if self.lower_case:
            text = tf.strings.lower(text, encoding="utf-8")
        if self.punctuation == "remove":
            text = tf.strings.regex_replace(text, r"[\p{P}\p{S}]", " ")
        if self.digits != "keep":
            text = tf.strings.regex_replace(text, r"\p{Nd}", "0" if self.digits == "mask" else " ")
        text = tf.strings.strip(tf.strings.regex_replace(text, r"[\s\p{Z}]+", " "))
        present = column.present & tf.not_equal(text, "")
        return column.with_values(tf.where(present, text, ""), present=present, complete=False)
