"""Give each category an id by hashing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.transform.step import TEXT, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Hash(TransformStep):
    """Turns text into one of `buckets` ids, the same in every run and on every machine.

    Use it after `cross` and for categories that are too many to list or that grow while serving. Different categories
    may share an id; `vocabulary` avoids that. A value that is still missing at the end of the chain gets one more id.

    Args:
        buckets: number of ids; from 2.

    Shapes:
        text `[batch, 1]` to ids `[batch, 1]`, cardinality: `buckets` (+ 1). Learns nothing from the data.

    Example:
        >>> Hash(buckets=50).model_dump()
        {'hash': {'buckets': 50}}
    """

    shorthand: ClassVar[str | None] = "buckets"
    accepts: ClassVar[frozenset[Kind]] = TEXT
    makes: ClassVar[Kind | None] = "ids"

    buckets: int = Field(ge=2)

    def apply(self, column: Column) -> Column:
        """Return the ids."""
        import tensorflow_transform as tft

        ids = tft.hash_strings(column.values, self.buckets)
        return column.with_values(ids, kind="ids", cardinality=self.buckets, bound=self.buckets)
