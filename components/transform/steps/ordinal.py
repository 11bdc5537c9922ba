"""Give categories that have an order their place in it."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from components.transform.step import TEXT, Kind, TransformStep

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column


class Ordinal(TransformStep):
    """Turns a category into the number of its place in an order that you give: 0, 1, 2 and so on.

    Use it where the order means something: `[low, medium, high]`, grades, sizes. Where there is none, `vocabulary` or
    `one_hot` does not make up one. The model sees equal distances between neighbours.

    Args:
        order: the categories, the lowest first, each once, as the data write them; from 2 to 1000.
        on_unknown: what a category off the list is. `missing`: a missing value, for `fill_missing` to fill in or 0
            at the end of the chain. `error`: one in the training data stops the run; in the eval split and in a
            request, which came later, it is missing.

    Shapes:
        text `[batch, 1]` to number `[batch, 1]`.

    Raises:
        ValueError: a category is listed twice.
        ComponentError: the training data hold categories off the list, with `on_unknown: error`.

    Reference:
        Agresti, Analysis of Ordinal Categorical Data, 2010.

    Example:
        >>> Ordinal(order=["low", "high"]).on_unknown
        'missing'
    """

    shorthand: ClassVar[str | None] = "order"
    accepts: ClassVar[frozenset[Kind]] = TEXT
    makes: ClassVar[Kind | None] = "number"

    order: tuple[str, ...] = Field(min_length=2, max_length=1000)
    on_unknown: Literal["missing", "error"] = "missing"

    @property
    def makes_missing(self) -> bool:
        """True: a category may be off the list."""
        return True

    @field_validator("order", mode="before")
    @classmethod
    def _as_text(cls, written: Any) -> Any:
        if not isinstance(written, list | tuple):
            return written
        # as whole numbers in a categorical column become text
        return [str(each) if type(each) is int else each for each in written]

    @field_validator("order")
    @classmethod
    def _each_once(cls, order: tuple[str, ...]) -> tuple[str, ...]:
        twice = [repr(category) for category, count in collections.Counter(order).items() if count > 1]
        if twice:
            raise ValueError(f"each category once, got {', '.join(twice)} more than once")
        return order

    def apply(self, column: Column) -> Column:
        """Return the places."""
        import tensorflow as tf

        same = tf.equal(column.values, tf.constant([self.order]))
        known = tf.reduce_any(same, axis=1, keepdims=True)
        places = tf.cast(tf.argmax(tf.cast(same, tf.int32), axis=1)[:, tf.newaxis], tf.float32)
        column = column.learning(unknown_rows=self._unknown(column, known))
        return column.with_values(places, kind="number", present=column.present & known, complete=False)

    def _unknown(self, column: Column, known: tf.Tensor) -> tf.Tensor:
        """Return how many training rows hold a category off the list; looking at them is what may refuse them."""
        import tensorflow as tf

        from components.transform.unknown_values import UnknownValues, unknown_rows

        others = tf.gather_nd(column.values, tf.where(column.present & ~known))
        return unknown_rows(others, UnknownValues(column.name, self.order, refuse=self.on_unknown == "error"))
