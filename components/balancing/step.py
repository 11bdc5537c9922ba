"""What a balancing step is: the rows of the train split in, more or fewer of each class out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from components.config import Plugin
from components.features import ModelInput

if TYPE_CHECKING:
    import numpy as np

    from components.balancing.rows import Rows

MAX_NAMED = 5
"""Model inputs that a message names; of more, it says how many."""


class BalancingStep(Plugin):
    """Changes how many rows each class has in the train split; eval rows and requests never pass through it.

    Args:
        ratio: rows of a rare class per row of the largest one, over 0 to 1; 1 makes all classes equal. With more than
            two classes it holds for each class against the largest (or, for undersampling, the smallest) one.
    """

    shorthand = "ratio"
    ratio: float = Field(default=1.0, gt=0, le=1)

    def refuses(self, inputs: Sequence[ModelInput]) -> tuple[str, str, str] | None:  # noqa: ARG002
        """Return what was received, what was expected and what to do, when it cannot work on these model inputs."""
        return None

    @abstractmethod
    def balance(self, rows: Rows, random: np.random.Generator) -> Rows:
        """Return the rows with other numbers of each class.

        Args:
            rows: the train split after the steps before; at least two classes.
            random: the only source of chance.

        Raises:
            ComponentError: it cannot reach its ratio with these rows.
        """


def shown(inputs: Sequence[ModelInput]) -> str:
    """Return the names of some model inputs, for a message.

    Example:
        >>> shown([ModelInput("fare", "float32")])
        "'fare'"
    """
    names = [repr(each.name) for each in inputs]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
