"""How well a single feature predicts the label: the quick score that gives leaks away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from components.data.columns import Codes, numbers
from components.features import Task

FOLDS = 5
BINS = 64
"""Numbers with more different values than this are divided into so many bins of equal size."""

FEWEST = 10
"""Rows of the smaller class, and a fifth of all rows, below which there is no score."""

_METRICS: dict[Task, str] = {
    "binary_classification": "AUC",
    "multiclass_classification": "balanced accuracy",
    "regression": "R²",
}


@dataclass(frozen=True)
class Score:
    """A figure and what it is.

    Args:
        value: of the metric; 1 is perfect.
        metric: its name.
    """

    value: float
    metric: str

    def __str__(self) -> str:
        return f"{self.metric} {self.value:.3f}"


def score(column: pa.Array, label: pa.Array, task: Task) -> Score | None:
    """Return how well the mean label of a value predicts the label of other rows with it; None for too few rows.

    Numbers are divided into bins, and taken in their order as well. A missing value is a value of its own, since that
    it is missing can be the leak. The mean comes from the other folds, so a column that names its rows scores nothing.

    Args:
        column: the feature.
        label: 0 or 1, a class, or a number; rows without one are left out.
        task: decides the metric.

    Example:
        >>> label = pa.array([0, 1] * 50)
        >>> str(score(pa.array([3.5, 7.25] * 50), label, "binary_classification"))
        'AUC 1.000'
    """
    groups = _groups(column)
    if task == "regression":
        values = numbers(label)
        known = np.isfinite(values) if values is not None else np.zeros(len(label), bool)
        if values is None or known.sum() < FOLDS * FEWEST:
            return None
        found = _r_squared(values[known], _out_of_fold(groups[known], values[known, None])[:, 0])
        return Score(max(found, _linear(column, values)), _METRICS[task])
    classes = Codes.of(label)
    known = classes.codes >= 0
    counts = np.bincount(classes.codes[known], minlength=classes.distinct)
    if classes.distinct < 2 or counts.min() < (FEWEST if task == "binary_classification" else 1):
        return None
    one_hot = np.eye(classes.distinct)[classes.codes[known]]
    if known.sum() < FOLDS * FEWEST:
        return None
    # by the class's own share: predicting the largest class everywhere must not look good
    predicted = _out_of_fold(groups[known], one_hot / counts)
    if task == "binary_classification":
        value = _auc(classes.codes[known] == 1, predicted[:, 1] / predicted.sum(axis=1).clip(1e-12))
        return Score(max(value, 1 - value, _in_order(column, classes.codes)), _METRICS[task])
    guesses = [predicted.argmax(axis=1), *_neighbours(column, classes.codes)]
    hits = (float(((guess == classes.codes[known]) @ one_hot / counts).mean()) for guess in guesses)
    return Score(max(hits), _METRICS[task])


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, from 1; equal ones share the mean of theirs."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values), np.float64)


def _groups(column: pa.Array) -> np.ndarray:
    """Return the group of each row: its value, or the bin that its number is in."""
    codes, values = Codes.of(column), numbers(column)
    if values is None or codes.distinct <= BINS:
        return codes.codes + 1
    edges = np.nanquantile(np.where(np.isfinite(values), values, np.nan), np.linspace(0, 1, BINS + 1)[1:-1])
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="right") + 1)


def _out_of_fold(groups: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return for each row the mean target of its group in the other folds; the mean of all where there is none."""
    order = np.random.default_rng(0).permutation(len(groups))
    folds = np.empty(len(groups), int)
    folds[order] = np.arange(len(groups)) % FOLDS
    cells = groups * FOLDS + folds
    count = np.bincount(cells, minlength=(groups.max() + 1) * FOLDS).reshape(-1, FOLDS)
    others = (count.sum(axis=1, keepdims=True) - count).reshape(-1)[cells]
    means = np.empty_like(targets)
    for column in range(targets.shape[1]):
        sums = np.bincount(cells, targets[:, column], minlength=count.size).reshape(-1, FOLDS)
        of_others = (sums.sum(axis=1, keepdims=True) - sums).reshape(-1)[cells]
        means[:, column] = np.where(others > 0, of_others / others.clip(1), targets[:, column].mean())
    return means


def _in_order(column: pa.Array, classes: np.ndarray) -> float:
    """Return the AUC of a number as it stands, whichever way it points; 0 for what is none, or is often missing."""
    values = numbers(column)
    if values is None:
        return 0.0
    known = np.isfinite(values) & (classes >= 0)
    positive = classes[known] == 1
    if 2 * known.sum() < len(values) or min(positive.sum(), (~positive).sum()) < FEWEST:
        return 0.0
    value = _auc(positive, values[known])
    return max(value, 1 - value)


def _neighbours(column: pa.Array, classes: np.ndarray) -> list[np.ndarray]:
    """Return the class of the row with the next smaller number, for rows with a class; nothing for no numbers."""
    values = numbers(column)
    if values is None:
        return []
    rows = np.flatnonzero(classes >= 0)
    # equal numbers in no order, so that the order of the file says nothing
    rows = np.random.default_rng(0).permutation(rows)
    rows = rows[np.argsort(values[rows], kind="stable")]
    guessed = np.empty_like(classes)
    guessed[rows] = classes[np.concatenate([rows[1:2], rows[:-1]])]
    return [guessed[classes >= 0]]


def _linear(column: pa.Array, label: np.ndarray) -> float:
    """Return the R² of the straight line; 0 for what is no number, or is often missing."""
    values = numbers(column)
    if values is None:
        return 0.0
    known = np.isfinite(values) & np.isfinite(label)
    if 2 * known.sum() < len(values) or min(values[known].std(), label[known].std()) == 0:
        return 0.0
    return float(np.corrcoef(values[known], label[known])[0, 1] ** 2)


def _auc(positive: np.ndarray, predicted: np.ndarray) -> float:
    count = positive.sum()
    above = ranks(predicted)[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(positive) - count)))


def _r_squared(values: np.ndarray, predicted: np.ndarray) -> float:
    spread = ((values - values.mean()) ** 2).sum()
    return float(1 - ((values - predicted) ** 2).sum() / spread) if spread else 0.0
