"""Step `random_oversample`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.balancing.step import BalancingStep

if TYPE_CHECKING:
    import numpy as np

    from components.balancing.rows import Rows


class RandomOversample(BalancingStep):
    """Repeat rows of the rare classes at random.

    Use it for any kind of data, images and text too. Not with a model that learns single rows by heart: it sees the
    same few again and again; `training.class_weights` has the same effect without more rows to train on.

    Args:
        ratio: rows of every class per row of the largest one afterwards, over 0 to 1. A class that is large enough
            already stays as it is.

    Example:
        >>> import numpy as np
        >>> from components.balancing.rows import Rows
        >>> rows = Rows.in_memory([], np.array([0] * 10 + [1] * 2), {})
        >>> RandomOversample(ratio=0.5).balance(rows, np.random.default_rng(0)).counts()
        {0: 10, 1: 5}
    """

    def balance(self, rows: Rows, random: np.random.Generator) -> Rows:
        import numpy as np

        wanted = rows.missing(self.ratio)
        drawn = [random.choice(rows.positions(label), count) for label, count in wanted.items()]
        return rows.repeat(np.concatenate(drawn)) if drawn else rows
