"""What a cleaning step is: rows in, the rows to keep out."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from components.config import Plugin

if TYPE_CHECKING:
    import pyarrow as pa


class CleaningStep(Plugin):
    """Drops rows from all splits, before anything is learned from them; never runs at serving.

    Steps run in the order of the spec. Subclasses are either row filters (this class) or `GroupStep`s, which look at
    the whole data set.
    """

    columns_read: ClassVar[bool] = True

    @abstractmethod
    def needed_columns(self) -> tuple[str, ...]:
        """The columns it looks at; empty means all of them."""

    @abstractmethod
    def keep(self, batch: pa.RecordBatch) -> pa.BooleanArray:
        """Say which rows stay.

        Args:
            batch: flat columns (int64, float32 or binary), null where the value is missing; any number of rows.

        Returns:
            One non-null boolean per row.
        """
