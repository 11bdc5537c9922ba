"""What a transform step is: a column in, a column out, in the graph that training and serving share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from components.config import Plugin

if TYPE_CHECKING:
    from components.transform.column import Column

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

    def gives(self, kind: Kind) -> Kind:
        """Return the kind of the column that it makes of one of kind `kind`."""
        return self.makes or kind

    def refuses(self, kind: Kind) -> tuple[str, str] | None:
        """Return what it expected and what to do when its parameters do not fit a column of an accepted kind."""
        del kind
        return None

    def source_columns(self) -> tuple[str, ...]:
        """Return the features that it starts a chain from; none for a step that continues one."""
        return ()

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
