"""Step `random_undersample`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.balancing.step import BalancingStep

if TYPE_CHECKING:
    import numpy as np

    from components.balancing.rows import Rows


class RandomUndersample(BalancingStep):
    """Drop rows of the frequent classes at random.

    Use it when there are more rows of the frequent class than training needs: it is the only step that makes training
    faster. Not when rows are few: what is dropped teaches nothing.

    Args:
        ratio: rows of the smallest class per row of any other one afterwards, over 0 to 1. A class that is small
            enough already stays as it is.

    Example:
        >>> import numpy as np
        >>> from components.balancing.rows import Rows
        >>> rows = Rows.in_memory([], np.array([0] * 10 + [1] * 2), {})
        >>> RandomUndersample(ratio=0.5).balance(rows, np.random.default_rng(0)).counts()
        {0: 4, 1: 2}
    """

    def balance(self, rows: Rows, random: np.random.Generator) -> Rows:
        import numpy as np

        counts = rows.counts()
        most = int(min(counts.values()) / self.ratio)
        kept = []
        for label, count in counts.items():
            positions = rows.positions(label)
            kept.append(random.choice(positions, most, replace=False) if count > most else positions)
        return rows.take(np.sort(np.concatenate(kept)))
