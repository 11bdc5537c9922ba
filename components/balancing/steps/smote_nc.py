"""Step `smote_nc`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.balancing.interpolation import InterpolatingStep, Neighbourhood, is_categories, numbers_of
from components.errors import ComponentError
from components.features import ModelInput

if TYPE_CHECKING:
    import numpy as np

    from components.balancing.rows import Table


class SmoteNc(InterpolatingStep):
    """Make rows of the rare classes between neighbours where columns are numbers, and by their vote where categories.

    Two rows with different categories are farther apart by the median of the standard deviations of the numbers in
    their class, once per column that differs. A new row's category is the one that most of the `k` neighbours have,
    of several that of the nearest one. Ids and columns of zeros and ones are categories; a vector of zeros and ones
    (`one_hot`) is one. Use it for tables of numbers and categories with up to some ten thousand rows of the rare
    class: it compares each with each. Not without any column of numbers.

    Args:
        ratio: rows of every class per row of the largest one afterwards, over 0 to 1.
        k: nearest neighbours of its own class that a row is joined with, 1 to 100.

    Raises:
        ComponentError: a class has no more than `k` rows, or there is no column of numbers.

    Reference:
        Chawla, Bowyer, Hall, Kegelmeyer (2002): SMOTE, section 6.1, SMOTE-NC.

    Example:
        >>> import numpy as np
        >>> from components.balancing.rows import Rows
        >>> inputs = [ModelInput("x", "float32"), ModelInput("id", "int64", (1,), 9)]
        >>> x = np.array([[0.0], [0.2], [0.4], [0.6], [0.1], [7.0], [8.0]], np.float32)
        >>> table = {"x": x, "id": np.array([[1], [1], [1], [1], [1], [3], [3]])}
        >>> rows = Rows.in_memory(inputs, np.array([0, 0, 0, 0, 0, 1, 1]), table)
        >>> made = SmoteNc(k=1).balance(rows, np.random.default_rng(0))
        >>> made.columns(np.array([7, 8, 9]))["id"].ravel().tolist()
        [3, 3, 3]
    """

    def neighbourhood(
        self, table: Table, labels: np.ndarray, label: int, inputs: Sequence[ModelInput]
    ) -> Neighbourhood:
        import numpy as np

        from components.balancing.neighbours import most_frequent, nearest_mixed

        categories = [each.name for each in inputs if is_categories(table[each.name])]
        own = labels == label
        numbers = numbers_of(table, [each.name for each in inputs if each.name not in categories])[own]
        if not numbers.shape[1]:
            raise ComponentError(
                "smote_nc needs at least one column of numbers; all model inputs are categories.",
                remedy="Use random_oversample.",
            )
        codes = np.empty((len(numbers), len(categories)), np.int64)
        for at, name in enumerate(categories):
            codes[:, at] = np.unique(table[name][own], axis=0, return_inverse=True)[1].ravel()
        penalty = float(np.median(numbers.std(axis=0))) ** 2
        near = nearest_mixed(numbers, codes, penalty, self.k)
        rows = np.arange(len(numbers))
        copied = {name: near[rows, most_frequent(codes[near, at])] for at, name in enumerate(categories)}
        return Neighbourhood(rows, near, copied)
