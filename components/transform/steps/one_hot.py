"""Turn a category into a vector of zeros with a single one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.transform.step import TEXT, Kind, TransformStep

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column


class OneHot(TransformStep):
    """Gives each category a place of its own; the vector holds 1.0 there and 0.0 elsewhere.

    Use it for a handful of categories, last in a chain. With many, leave ids, so that the model embeds them. On text,
    the `top_k` most frequent categories have a place; all others, also missing values, are all zeros. On ids, every
    id has one, and missing values are all zeros.

    Args:
        top_k: width of the vector for text; from 1. Ids bring their own width.

    Shapes:
        text or ids `[batch, 1]` to a vector `[batch, top_k or bound of the ids]`.

    Example:
        >>> OneHot(top_k=3).model_dump()
        {'one_hot': {'top_k': 3}}
    """

    shorthand: ClassVar[str | None] = "top_k"
    accepts: ClassVar[frozenset[Kind]] = TEXT | {"ids"}
    makes: ClassVar[Kind | None] = "vector"

    top_k: int | None = Field(default=None, ge=1)

    def refuses(self, kind: Kind) -> tuple[str, str] | None:
        """Refuse text without a width, and a second width for ids."""
        if kind == "text" and self.top_k is None:
            return "a width for text, one_hot: {top_k: N}", "Write one_hot: 10, or put a vocabulary before it."
        if kind == "ids" and self.top_k is not None:
            return "one_hot without top_k, since ids have a width of their own", "Remove top_k."
        return None

    def apply(self, column: Column) -> Column:
        """Return the vectors."""
        import tensorflow as tf

        ids, width = self._ids(column)
        # an id of -1 has no place: its vector is all zeros
        ids = tf.where(column.present, ids, tf.constant(-1, tf.int64))
        vectors = tf.one_hot(ids[:, 0], width, dtype=tf.float32)
        return column.with_values(vectors, kind="vector", cardinality=None, bound=None)

    def _ids(self, column: Column) -> tuple[tf.Tensor, int | None]:
        import tensorflow_transform as tft

        if column.kind == "ids":
            return column.values, column.bound
        file = tft.vocabulary(column.present_values, top_k=self.top_k, vocab_filename=column.name)
        return tft.apply_vocabulary(column.values, file, default_value=-1), self.top_k
