"""Step `borderline_smote`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from components.balancing.interpolation import Neighbourhood, numbers_of
from components.balancing.steps.smote import Smote
from components.errors import ComponentError
from components.features import ModelInput

if TYPE_CHECKING:
    import numpy as np

    from components.balancing.rows import Rows, Table


class BorderlineSmote(Smote):
    """Make rows of the rare classes as SMOTE does, but only from rows near the border to other classes.

    A row is near the border when at least half, but not all, of its nearest rows are of other classes: one among
    others only is taken for noise. Use it when the classes meet along a border that the model should find more
    exactly; not when the rare class lies scattered among the others, since then nearly every row is noise.

    Args:
        ratio: rows of every class per row of the largest one afterwards, over 0 to 1.
        k: nearest neighbours of its own class that a row is joined with, 1 to 100.
        m: nearest rows of any class that say whether a row is near the border, 1 to 100.

    Raises:
        ComponentError: as `smote`, or no row of a class is near the border.

    Reference:
        Han, Wang, Mao (2005): Borderline-SMOTE, variant 1.

    Example:
        >>> import numpy as np
        >>> from components.balancing.rows import Rows
        >>> x = np.array([[-0.2], [0.0], [0.2], [0.4], [0.6], [0.65], [0.7], [0.75], [9.0], [9.1], [9.2]], np.float32)
        >>> rows = Rows.in_memory([ModelInput("x", "float32")], np.array([0] * 6 + [1] * 5), {"x": x})
        >>> made = BorderlineSmote(k=3, m=4).balance(rows, np.random.default_rng(0))
        >>> made.counts(), bool((made.columns(np.array([11]))["x"] > 0.69).all())
        ({0: 6, 1: 6}, True)
    """

    m: int = Field(default=10, ge=1, le=100)

    def sees(self, rows: Rows, wanted: Sequence[int]) -> list[int]:  # noqa: ARG002
        return list(rows.counts())

    def neighbourhood(
        self, table: Table, labels: np.ndarray, label: int, inputs: Sequence[ModelInput]
    ) -> Neighbourhood:
        import numpy as np

        from components.balancing.neighbours import nearest, without_self

        points = numbers_of(table, [each.name for each in inputs])
        own = np.flatnonzero(labels == label)
        around = min(self.m, len(points) - 1)
        near = without_self(nearest(points, points[own], around + 1), own)
        others = (labels[near] != label).sum(axis=1)
        border = np.flatnonzero((2 * others >= around) & (others < around))
        if not len(border):
            raise ComponentError(
                f"borderline_smote finds no row of class {label} near a border: of {len(own)} rows, "
                f"{int((others == around).sum())} lie among other classes only, the others among their own.",
                remedy="Use smote, or another m.",
            )
        return replace(super().neighbourhood(table, labels, label, inputs), starts=border)
