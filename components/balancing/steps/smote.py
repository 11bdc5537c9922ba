"""Step `smote`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.balancing.interpolation import InterpolatingStep, Neighbourhood, is_categories, numbers_of
from components.balancing.step import shown
from components.errors import ComponentError
from components.features import ModelInput

if TYPE_CHECKING:
    import numpy as np

    from components.balancing.rows import Table

INSTEAD = "Use smote_nc, which copies categories from neighbours."


class Smote(InterpolatingStep):
    """Make rows of the rare classes between each row and its nearest neighbours (SMOTE).

    Use it for tables of numbers with some dozens to some hundred thousand rows of the rare class; scale the numbers
    before (`z_score`), since distances count. Not for categories (`smote_nc`), images or series. On data with much
    noise or many columns it rarely beats `random_oversample`: compare both.

    Args:
        ratio: rows of every class per row of the largest one afterwards, over 0 to 1.
        k: nearest neighbours of its own class that a row is joined with, 1 to 100.

    Raises:
        ComponentError: a class has no more than `k` rows, or a column holds categories or no numbers.

    Reference:
        Chawla, Bowyer, Hall, Kegelmeyer (2002): SMOTE: Synthetic minority over-sampling technique.

    Example:
        >>> import numpy as np
        >>> from components.balancing.rows import Rows
        >>> x = np.array([[0.0], [0.2], [0.4], [0.6], [7.0], [8.0]], np.float32)
        >>> rows = Rows.in_memory([ModelInput("x", "float32")], np.array([0, 0, 0, 0, 1, 1]), {"x": x})
        >>> made = Smote(k=1).balance(rows, np.random.default_rng(0))
        >>> made.counts(), bool((made.columns(np.array([6, 7]))["x"] > 7).all())
        ({0: 4, 1: 4}, True)
    """

    def refuses(self, inputs: Sequence[ModelInput]) -> tuple[str, str, str] | None:
        if refusal := super().refuses(inputs):
            return refusal
        if ids := [each for each in inputs if each.is_ids]:
            return f"{self.plugin_name()} on the ids {shown(ids)}", "numbers: there is no id between two ids", INSTEAD
        return None

    def neighbourhood(
        self, table: Table, labels: np.ndarray, label: int, inputs: Sequence[ModelInput]
    ) -> Neighbourhood:
        import numpy as np

        from components.balancing.neighbours import nearest, without_self

        check_no_vectors_of_categories(self, table, inputs)
        points = numbers_of(table, [each.name for each in inputs])[labels == label]
        own = np.arange(len(points))
        return Neighbourhood(own, without_self(nearest(points, points, self.k + 1), own), {})


def check_no_vectors_of_categories(step: InterpolatingStep, table: Table, inputs: Sequence[ModelInput]) -> None:
    """Raise a ComponentError for vectors of zeros and ones: only the data tell them from vectors of numbers."""
    if vectors := [each for each in inputs if each.width > 1 and is_categories(table[each.name])]:
        raise ComponentError(
            f"{step.plugin_name()} was given {shown(vectors)}, of zeros and ones only; between two categories there "
            "is none.",
            remedy=INSTEAD,
        )
