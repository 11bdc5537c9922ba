"""Turn numbers into the id of a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, model_validator

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Bucketize(TransformStep):
    """Cuts numbers into ranges, either of equal numbers of training rows or at edges of your own.

    Use it where the effect of a number is not monotone, such as a latitude or an hour. Where many values are equal,
    some ranges are empty. A value that is still missing at the end of the chain gets one more id of its own.

    Args:
        buckets: number of quantile ranges; from 2. Exactly one of `buckets` and `edges`.
        edges: ascending; a value equal to an edge belongs to the range above it.

    Shapes:
        number `[batch, 1]` to ids `[batch, 1]`, cardinality: `buckets` or `len(edges) + 1` (+ 1).

    Example:
        >>> Bucketize(edges=[0, 6, 12, 18]).edges
        (0.0, 6.0, 12.0, 18.0)
    """

    shorthand: ClassVar[str | None] = "buckets"
    accepts: ClassVar[frozenset[Kind]] = NUMBER
    makes: ClassVar[Kind | None] = "ids"

    buckets: int | None = Field(default=None, ge=2)
    edges: Annotated[tuple[float, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Bucketize:
        if (self.buckets is None) == (self.edges is None):
            raise ValueError("either buckets (a number of quantiles) or edges (a list of numbers)")
        if self.edges and any(left >= right for left, right in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges in ascending order, each once")
        return self

    def apply(self, column: Column) -> Column:
        """Return the ids of the ranges."""
        import tensorflow as tf
        import tensorflow_transform as tft

        if self.edges is not None:
            edges = tf.constant([self.edges], tf.float32)
            count = len(self.edges) + 1
        else:
            count = self.buckets or 2
            edges = tft.quantiles(column.present_values, num_buckets=count, epsilon=0.001)
        ids = tft.apply_buckets(column.values, edges)
        return column.with_values(ids, kind="ids", cardinality=count, bound=count).learning(edges=edges[0])
