"""Linear models of the label that never saw the row they predict, with numpy and scipy alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from components.engine.linear_models import logistic, ridge, softmax, with_one

FOLDS = 5
VALUES = 50
"""Ids of an input that get a column of their own, the most frequent ones first."""

WIDTH = 2_000
"""Columns of one input at most: of an image the means of neighbouring values, of a vector those that vary most."""

COLUMNS = 200
"""With more columns than this in all, the first COMPONENTS principal components stand for them."""

COMPONENTS = 100
EXTREME = 5.0
"""Standard deviations to which columns are limited, so that a few rows do not steer the model."""

PENALTIES = (3.0, 30.0, 300.0)
"""Weight of half the sum of squared coefficients, beside the sum of the losses of the rows; the first one as a rule."""

FEW_PER_COLUMN = 20
"""Rows for each column, below which the other penalties are tried, too."""

REWEIGHTED = 10
HUBER = 1.345
"""Robust standard deviations from which on the weight of a residual falls."""

TOLERANCE = 1e-7


def design(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return model inputs as standardised columns.

    Ids become one column for each frequent value, 1 where a row has it; images and vectors are flattened. A value that
    is not finite counts as the mean of its column.

    Args:
        inputs: name to the values of all rows, batch first; integers of at most two dimensions are ids.

    Example:
        >>> design({"x": np.array([[1.0], [3.0]]), "city": np.array([7, 8])})
        array([[-1.,  1., -1.],
               [ 1., -1.,  1.]])
    """
    columns = np.concatenate([_columns(values) for values in inputs.values()], axis=1)
    columns = np.clip(_standardised(columns), -EXTREME, EXTREME)
    return _components(columns) if columns.shape[1] > COLUMNS else columns


def probabilities(columns: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Return what multinomial logistic regressions that were fitted to the other folds say of each row.

    Where rows are few for so many columns, a larger penalty is taken if it predicts better: a model that learns its
    rows by heart is too sure of the others.

    Args:
        columns: as `design` returns them.
        classes: class of each row, from 0.
        count: how many classes there are.

    Returns:
        Shape (rows, classes).
    """
    few = len(classes) < FEW_PER_COLUMN * columns.shape[1]
    tried = [_probabilities(columns, classes, count, penalty) for penalty in (PENALTIES if few else PENALTIES[:1])]
    every = np.arange(len(classes))
    return max(tried, key=lambda found: np.log(found[every, classes].clip(1e-300)).sum())


def _probabilities(columns: np.ndarray, classes: np.ndarray, count: int, penalty: float) -> np.ndarray:
    found = np.empty((len(classes), count))
    folds = _folds(classes)
    for fold in range(FOLDS):
        inside = folds == fold
        coefficients = logistic(columns[~inside], classes[~inside], count, penalty, tolerance=TOLERANCE)
        found[inside] = softmax(with_one(columns[inside]) @ coefficients)
    return found


def predictions(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return what robust ridge regressions that were fitted to the other folds say of each row.

    Args:
        columns: as `design` returns them.
        target: a number for each row.
    """
    found = np.empty(len(target))
    folds = _folds(np.zeros(len(target), int))
    for fold in range(FOLDS):
        inside = folds == fold
        found[inside] = with_one(columns[inside]) @ _robust_ridge(columns[~inside], target[~inside])
    return found


def _robust_ridge(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return coefficients that a few wild targets do not steer: weighted least squares, again and again.

    Reference:
        Huber 1964, Robust Estimation of a Location Parameter, Annals of Mathematical Statistics 35.
    """
    weights, known = np.ones(len(target)), with_one(columns)
    for _ in range(REWEIGHTED):
        coefficients = ridge(columns, target, PENALTIES[0], weights)
        residuals = np.abs(target - known @ coefficients)
        bound = HUBER * 1.4826 * float(np.median(residuals))
        weights = np.minimum(1.0, bound / np.maximum(residuals, max(bound, 1e-300)))
    return coefficients


def _columns(values: np.ndarray) -> np.ndarray:
    rows = values.reshape(len(values), -1)
    if values.dtype.kind in "iu" and values.ndim <= 2:
        return _ids(rows)
    if rows.shape[1] > WIDTH and values.ndim > 2:
        size = -(-rows.shape[1] // WIDTH)
        starts = np.arange(0, rows.shape[1], size)
        rows = np.add.reduceat(rows, starts, axis=1, dtype=np.float64) / np.diff([*starts, rows.shape[1]])
    elif rows.shape[1] > WIDTH:
        rows = rows[:, np.sort(np.argsort(-np.nan_to_num(rows.var(axis=0)), kind="stable")[:WIDTH])]
    rows = rows.astype(np.float64)
    finite = np.isfinite(rows)
    means = np.where(finite, rows, 0).sum(axis=0) / finite.sum(axis=0).clip(1)
    return np.where(finite, rows, means)


def _ids(rows: np.ndarray) -> np.ndarray:
    different, counts = np.unique(rows, return_counts=True)
    frequent = different[np.argsort(-counts, kind="stable")][:VALUES]
    return np.stack([(rows == value).any(axis=1) for value in frequent], axis=1).astype(np.float64)


def _standardised(columns: np.ndarray) -> np.ndarray:
    spread = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _components(columns: np.ndarray) -> np.ndarray:
    """Return the first principal components, the first one standardised, by a seeded randomised range finder.

    Reference:
        Halko, Martinsson and Tropp 2011, Finding structure with randomness, SIAM Review 53.
    """
    found = np.random.default_rng(0).normal(size=(columns.shape[1], min(COMPONENTS + 10, *columns.shape)))
    for _ in range(3):
        basis, _ = np.linalg.qr(columns @ found)
        found, _ = np.linalg.qr(columns.T @ basis)
    _, _, directions = np.linalg.svd(columns @ found, full_matrices=False)
    components = columns @ (found @ directions[:COMPONENTS].T)
    # by the spread of the first one alone: a small component is mostly noise, and must stay small for the penalty
    return np.asarray(components / max(components[:, 0].std(), 1e-12))


def _folds(classes: np.ndarray) -> np.ndarray:
    """Return the fold of each row, the same in each call; every class is spread evenly over the folds."""
    order = np.random.default_rng(0).permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    folds = np.empty(len(classes), int)
    folds[order] = np.arange(len(classes)) % FOLDS
    return folds
