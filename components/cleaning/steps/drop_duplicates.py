"""Cleaning step `drop_duplicates`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from components.cleaning.step import GroupStep

if TYPE_CHECKING:
    import pyarrow as pa


class DropDuplicates(GroupStep):
    """Keeps the first of the rows that are equal.

    Use it when rows were delivered more than once, or when equal rows in train and eval would flatter the
    evaluation: an eval row that equals a train row is dropped. Do not use it when equal rows are separate events
    whose number matters.

    Args:
        columns: the columns that must be equal; all of them when empty. Default: all.

    Shapes:
        any columns, `[rows]` → keys `[rows]`. Two missing values (null or NaN) are equal.

    Example:
        >>> import pyarrow as pa
        >>> batch = pa.record_batch({"id": pa.array([7, 8, 7]), "fare": pa.array([1.0, 2.0, 3.0])})
        >>> DropDuplicates(columns=("id",)).keep(batch).to_pylist()
        [True, True, False]
        >>> DropDuplicates().keep(batch).to_pylist()
        [True, True, True]
    """

    shorthand: ClassVar[str | None] = "columns"
    columns: tuple[str, ...] = ()

    def needed_columns(self) -> tuple[str, ...]:
        return self.columns

    def key(self, batch: pa.RecordBatch) -> pa.BinaryArray:
        from components.cleaning.columns import row_keys

        return row_keys(batch.select(list(self.columns)) if self.columns else batch)
