"""Cleaning step `keep_values`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, StrictFloat, StrictInt, StrictStr, model_validator

from components.cleaning.step import CleaningStep

if TYPE_CHECKING:
    import pyarrow as pa


class KeepValues(CleaningStep):
    """Drops a row when a column holds a value that is not on a list.

    Use it to train on a part of the data, such as some countries. Do not use it to tame rare values: a `vocabulary`
    in `transform` puts those into one bucket, at serving too.

    Args:
        column: a column of text or of numbers. No default.
        values: the values that stay: all texts or all numbers, as the column is; at least one. No default.

    Shapes:
        text or numbers `[rows]` → booleans `[rows]`. Missing values stay; `drop_missing` is for those.

    Raises:
        ValueError: no value is given, or texts and numbers are mixed.

    Example:
        >>> import pyarrow as pa
        >>> step = KeepValues(column="payment_type", values=("Cash", "Credit Card"))
        >>> step.keep(pa.record_batch({"payment_type": pa.array([b"Cash", b"Prcard", None])})).to_pylist()
        [True, False, True]
    """

    column: str
    values: tuple[StrictStr | StrictInt | StrictFloat, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_kind(self) -> KeepValues:
        if len({isinstance(value, str) for value in self.values}) > 1:
            raise ValueError("texts and numbers are mixed; quote the numbers if the column holds text")
        return self

    def needed_columns(self) -> tuple[str, ...]:
        return (self.column,)

    def accepts(self) -> frozenset[str]:
        return frozenset({"text" if isinstance(self.values[0], str) else "number"})

    def keep(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        import pyarrow as pa
        import pyarrow.compute as pc

        from components.cleaning.columns import is_missing

        column = batch.column(self.column)
        missing = is_missing(column)
        if pa.types.is_null(column.type):
            return missing
        if isinstance(self.values[0], str):
            allowed = pa.array([str(value).encode() for value in self.values], pa.binary())
            return pc.or_(missing, pc.is_in(column.cast(pa.binary()), value_set=allowed))
        # Through the column's own type: 0.1 must find the float32 that stands for 0.1.
        as_column = pa.float32() if pa.types.is_floating(column.type) else pa.float64()
        allowed = pa.array([float(value) for value in self.values], as_column)
        return pc.or_(missing, pc.is_in(column.cast(as_column), value_set=allowed))
