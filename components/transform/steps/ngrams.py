"""Join neighbouring tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column

LONGEST = 10


class Ngrams(TransformStep):
    """Makes tokens of all runs of so many neighbouring tokens.

    Use it between `tokenize` and `tf_idf` or `bag_of_words`, where the order of two or three words matters
    (`not good`), or on characters, where words are misspelt. It multiplies how many different tokens there are: give
    the step behind it a larger `top_k`. Before `token_ids` it is of little use, since a sequence has the order anyway.

    Args:
        sizes: fewest and most tokens in a run, `[1, 2]` for single ones and pairs; from 1 to 10. A text with fewer
            tokens than that has none.
        separator: put between the joined tokens; `""` for characters.

    Shapes:
        tokens `[batch, any]` to tokens `[batch, any]`: first all of the smallest size, in their order.

    Raises:
        ValueError: the sizes descend.

    Example:
        >>> Ngrams(sizes=(1, 2)).separator
        ' '
    """

    shorthand: ClassVar[str | None] = "sizes"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"tokens"})

    sizes: tuple[int, int] = Field(default=(1, 2))
    separator: str = " "

    @field_validator("sizes")
    @classmethod
    def _from_small_to_large(cls, sizes: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= sizes[0] <= sizes[1] <= LONGEST:
            raise ValueError(f"the fewest and the most tokens, 1 to {LONGEST}, such as [1, 2]; got {list(sizes)}")
        return sizes

    def apply(self, column: Column) -> Column:
        """Return the joined tokens."""
        import tensorflow as tf

        from components.transform.tokens import as_ragged

        sizes = tuple(range(self.sizes[0], self.sizes[1] + 1))
        joined = tf.strings.ngrams(as_ragged(column.values), sizes, separator=self.separator)
        return column.with_values(joined.to_sparse())
