"""What a transform step is: a column in, a column out, in the graph that training and serving share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from components.config import Plugin
from components.features import Task

if TYPE_CHECKING:
    from components.transform.column import Column, OtherColumns

Kind = Literal["number", "text", "ids", "vector", "tokens", "sequence", "encoded", "image"]
"""What a column holds between two steps:

- `number`: float32 `[batch, 1]`, one number per row;
- `text`: string `[batch, 1]`, one category per row, before it has an id;
- `ids`: int64 `[batch, 1]`, one of a known number of ids per row;
- `vector`: float32 `[batch, width]`, several numbers per row that belong together (`one_hot`);
- `tokens`: a sparse string tensor `[batch, any]`, the words of a text in their order;
- `sequence`: int64 `[batch, length]`, one id per position;
- `encoded`: string `[batch, 1]`, the bytes of an image file;
- `image`: float32 `[batch, height, width, channels]`.
"""

NUMBER: frozenset[Kind] = frozenset({"number"})
TEXT: frozenset[Kind] = frozenset({"text"})


class TransformStep(Plugin):
    """Changes one column; may look at the whole training data through a TFT analyzer.

    Steps of a feature form a chain: each gets the column that the one before it returned. Random steps are not
    allowed here, since serving must give the value that training gave. A step leaves `present` as it is unless it
    fills values in, and analyses present values only.
    """

    accepts: ClassVar[frozenset[Kind]]
    """The kinds of column it takes."""

    makes: ClassVar[Kind | None] = None
    """The kind of column that it makes; None when it is the kind that it takes."""

    completes: ClassVar[bool] = False
    """True when no value is missing after it."""

    @property
    def makes_missing(self) -> bool:
        """True when a value may be missing after it that was not before."""
        return False

    read_kinds: ClassVar[frozenset[Kind]] = NUMBER | TEXT
    """The kinds of column that it reads besides its own."""

    reads_label: ClassVar[bool] = False
    """True when it learns from the label; then nothing but its `out_of_fold` may depend on a row's own one."""

    ends_chain: ClassVar[bool] = False
    """True when no step may follow."""

    def gives(self, kind: Kind) -> Kind:
        """Return the kind of the column that it makes of one of kind `kind`."""
        return self.makes or kind

    def gives_shape(self, shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """Return the shape of one row after it, as far as it is known before the data.

        Args:
            shape: of one row before it; None when only the data tell.

        Raises:
            ValueError: the step does not take rows of this shape; the text says what was expected.
        """
        return None if self.makes else shape

    def refuses(self, kind: Kind) -> tuple[str, str] | None:
        """Return what it expected and what to do when its parameters do not fit a column of an accepted kind."""
        del kind
        return None

    def source_columns(self) -> tuple[str, ...]:
        """Return the features that it starts a chain from; none for a step that continues one."""
        return ()

    def read_columns(self) -> tuple[str, ...]:
        """Return the features that it looks at besides the column of its chain; `apply_with` gets them as they are."""
        return ()

    def all_read_columns(self) -> tuple[str, ...]:
        """Return every feature that it names itself."""
        return (*self.source_columns(), *self.read_columns())

    def refuses_task(self, task: Task) -> tuple[str, str] | None:
        """Return what it expected and what to do when it cannot be used for a task."""
        del task
        return None

    def apply_with(self, column: Column, others: OtherColumns) -> Column:
        """Return the new column, of a step that reads more than its own; any other step has only `apply`."""
        del others
        return self.apply(column)

    @abstractmethod
    def apply(self, column: Column) -> Column:
        """Return the new column.

        Args:
            column: `values` of shape `[batch, 1]`; `present` is a boolean `[batch, 1]` where a value exists. Where
                none exists `values` holds something finite that means nothing.
        """


class SourceStep(TransformStep):
    """Starts a chain from features that it names itself, instead of from the feature the chain is named after."""

    accepts: ClassVar[frozenset[Kind]] = frozenset()

    def source_kinds(self, column: str) -> frozenset[Kind]:
        """Return the kinds that one of its source columns may have; numbers and text unless it needs one of them."""
        del column
        return NUMBER | TEXT

    @abstractmethod
    def combine(self, name: str, columns: Sequence[Column]) -> Column:
        """Return the first column of the chain `name`.

        Args:
            name: name of the chain.
            columns: the raw columns, in the order of `source_columns()`.
        """

    def apply(self, column: Column) -> Column:
        """Raise: a source step is called with all its columns, through `combine`."""
        raise TypeError(f"{self.plugin_name()} starts a chain and takes no column, got {column.name!r}")


def source_of(chain: Sequence[TransformStep]) -> SourceStep | None:
    """Return the step that starts a chain, or None where the feature that the chain is named after does."""
    return chain[0] if chain and isinstance(chain[0], SourceStep) else None


DEFAULT_MAX_GROUPS = 1000


class GroupedStep(TransformStep):
    """Learns one value per group of rows, where `by` names the feature that says which group a row is of.

    Args:
        by: a categorical feature; None learns one value for all rows.
        max_groups: how many groups have a value of their own, the most frequent ones; from 1 to 100,000, default 1000.
            Rows of other groups, of groups that training never saw, and of no group get the value of all rows.
    """

    read_kinds: ClassVar[frozenset[Kind]] = TEXT

    by: str | None = None
    max_groups: int | None = Field(default=None, ge=1, le=100_000)

    @model_validator(mode="after")
    def _limit_of_groups(self) -> GroupedStep:
        if self.by is None and self.max_groups is not None:
            raise ValueError("max_groups together with by: COLUMN; without groups there is nothing to limit")
        return self

    @property
    def groups(self) -> int:
        """How many groups have a value of their own at most."""
        return self.max_groups or DEFAULT_MAX_GROUPS

    def read_columns(self) -> tuple[str, ...]:
        """Return the feature that names the group."""
        return () if self.by is None else (self.by,)
