"""Cleaning step `keep_range`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from components.cleaning.step import CleaningStep

if TYPE_CHECKING:
    import pyarrow as pa


class KeepRange(CleaningStep):
    """Drops a row when a number lies outside a range.

    Use it for values that cannot be true, such as negative prices. Do not use it for rare but true values that live
    requests can hold too: clip those in `transform` with `clip_outliers`.

    Args:
        column: a column of numbers. No default.
        min: smallest value that stays, in the column's unit. Default: no limit.
        max: largest value that stays, in the column's unit; not below `min`. Default: no limit.

    Shapes:
        numbers `[rows]` → booleans `[rows]`. Missing values (null or NaN) stay; `drop_missing` is for those.

    Raises:
        ValueError: neither limit is given, or `min` is above `max`.

    Example:
        >>> import pyarrow as pa
        >>> step = KeepRange(column="fare", min=0, max=500)
        >>> step.keep(pa.record_batch({"fare": pa.array([-1.0, 500.0, None, 501.0])})).to_pylist()
        [False, True, True, False]
    """

    column: str
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_a_range(self) -> KeepRange:
        if self.min is None and self.max is None:
            raise ValueError("a range needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}; no row could stay")
        return self

    def needed_columns(self) -> tuple[str, ...]:
        return (self.column,)

    def accepts(self) -> frozenset[str]:
        return frozenset({"number"})

    def keep(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        import pyarrow as pa
        import pyarrow.compute as pc

        from components.cleaning.columns import is_missing

        column = batch.column(self.column)
        inside = pa.scalar(True)
        # A limit is rounded as the column was: 0.1 must not drop the float32 that stands for 0.1.
        as_column = pa.float32() if column.type == pa.float32() else pa.float64()
        if self.min is not None:
            inside = pc.and_(inside, pc.greater_equal(column, pa.scalar(self.min, as_column)))
        if self.max is not None:
            inside = pc.and_(inside, pc.less_equal(column, pa.scalar(self.max, as_column)))
        return pc.or_(is_missing(column), pc.fill_null(inside, False))
