"""Cleaning step `drop_missing`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from components.cleaning.step import CleaningStep

if TYPE_CHECKING:
    import pyarrow as pa


class DropMissing(CleaningStep):
    """Drops a row when any of some columns has no value.

    Use it for columns the label is computed from. Do not use it for features that can be missing in live requests
    too: there no row can be dropped, so fill them in `transform` with `fill_missing`.

    Args:
        columns: at least one column. No default.

    Shapes:
        any column, `[rows]` → booleans `[rows]`. NaN counts as missing, an empty text does not.

    Raises:
        ValueError: no column is named.

    Example:
        >>> import pyarrow as pa
        >>> step = DropMissing(columns=("fare",))
        >>> step.keep(pa.record_batch({"fare": pa.array([1.5, None, float("nan")])})).to_pylist()
        [True, False, False]
    """

    shorthand: ClassVar[str | None] = "columns"
    columns: tuple[str, ...] = Field(min_length=1)

    def needed_columns(self) -> tuple[str, ...]:
        return self.columns

    def keep(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        import functools

        import pyarrow.compute as pc

        from components.cleaning.columns import is_missing

        missing = (is_missing(batch.column(name)) for name in self.columns)
        return pc.invert(functools.reduce(pc.or_, missing))
