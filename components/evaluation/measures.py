"""The metrics of METRICS, exact, in numpy: for many slices and many resamples of the rows at once.

These are the values that the gate compares. TFMA's files hold its own estimates of the same metrics: equal, except for
`auc` and `auc_pr`, which TFMA reads off a histogram of 10,000 buckets, coarse where all probabilities are small, and
except for `r_squared`, which it does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from components.evaluation.config import METRICS
from components.features import Task

EPSILON = 1e-7
"""Probabilities are clipped to [EPSILON, 1 - EPSILON] in log_loss, as Keras does."""

THRESHOLD = 0.5
"""Larger probabilities count as positive, as in TFMA."""


@dataclass(frozen=True)
class Scored:
    """Rows with a label and a model's answer; no value is missing.

    Args:
        task: what kind of prediction it is.
        label: `[rows]` 0 or 1, a class id, or a number.
        prediction: `[rows]` probability or number; `[rows, classes]` probabilities.
        weight: `[rows]` of each row in every metric.
    """

    task: Task
    label: np.ndarray
    prediction: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: np.ndarray) -> Scored:
        """Return some of the rows."""
        return Scored(self.task, self.label[rows], self.prediction[rows], self.weight[rows])

    @cached_property
    def terms(self) -> np.ndarray:
        """`[rows, k]`: what the metrics are sums of; the first column is 1."""
        return {
            "binary_classification": _binary_terms,
            "multiclass_classification": _multiclass_terms,
            "regression": _regression_terms,
        }[self.task](self.label.astype(np.float64), self.prediction.astype(np.float64))


class SlicedMetrics:
    """Computes all metrics of a task on every slice of the rows; the rows are sorted once.

    Args:
        scored: the rows.
        codes: `[rows]` number of each row's slice, `0 … slices - 1`, each at least once; None is one slice.

    Example:
        >>> scored = Scored("regression", np.array([1.0, 3.0]), np.array([2.0, 3.0]), np.ones(2))
        >>> float(SlicedMetrics(scored).values()["mae"][0])
        0.5
    """

    def __init__(self, scored: Scored, codes: np.ndarray | None = None) -> None:
        self.scored = scored
        codes = np.zeros(len(scored), np.int64) if codes is None else codes
        ranked = scored.task == "binary_classification"
        self.order = np.lexsort((scored.prediction, codes)) if ranked else np.argsort(codes, kind="stable")
        codes = codes[self.order]
        self._starts = _starts_of_runs(codes)
        self._weight = scored.weight[self.order].astype(np.float64)
        self._terms = scored.terms[self.order]
        self._ranks = _Ranks(scored.label[self.order], scored.prediction[self.order], codes) if ranked else None

    def values(self) -> dict[str, np.ndarray]:
        """Return each metric on each slice, `[slices]`; NaN where it is not defined."""
        return {name: found[0] for name, found in self.resampled(np.ones((1, len(self.scored)))).items()}

    def resampled(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Return each metric on each slice of each resample, `[resamples, slices]`.

        Args:
            counts: `[resamples, rows]` how often each row was drawn.
        """
        weights = np.take(counts, self.order, axis=1) * self._weight
        ends = [*self._starts[1:], weights.shape[1]]
        sums = [weights[:, start:end] @ self._terms[start:end] for start, end in zip(self._starts, ends, strict=True)]
        with np.errstate(divide="ignore", invalid="ignore"):
            found = _FROM_SUMS[self.scored.task](np.stack(sums, axis=1))
            if self._ranks is not None:
                found |= self._ranks.areas(weights)
        return {name: found[name] for name in METRICS[self.scored.task]}


class _Ranks:
    """Areas under the ROC and the precision-recall curve, exact, with ties, for rows sorted by slice and score."""

    def __init__(self, label: np.ndarray, score: np.ndarray, codes: np.ndarray) -> None:
        self._label = label.astype(np.float64)
        new_tie = (np.diff(codes, prepend=-1) != 0) | (np.diff(score, prepend=np.nan) != 0)
        self._ties = np.flatnonzero(new_tie)
        self._slices = _starts_of_runs(codes[self._ties])
        self._slice_of_tie = np.repeat(np.arange(len(self._slices)), np.diff([*self._slices, len(self._ties)]))

    def areas(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        # Summed apart rather than subtracted: a slice without negatives must have exactly none, to be undefined.
        positive = np.add.reduceat(weights * self._label, self._ties, axis=1)
        negative = np.add.reduceat(weights * (1 - self._label), self._ties, axis=1)
        positives, positives_from = self._totals(positive)
        negatives, negatives_from = self._totals(negative)
        # A positive wins against the negatives with a lower score and half of those with the same.
        wins = positive * (negatives[:, self._slice_of_tie] - negatives_from + negative / 2)
        precision = positives_from / (positives_from + negatives_from)
        area = np.add.reduceat(wins, self._slices, axis=1) / (positives * negatives)
        steps = np.add.reduceat(np.where(positive > 0, positive * precision, 0.0), self._slices, axis=1) / positives
        return {"auc": np.clip(area, 0, 1), "auc_pr": np.clip(steps, 0, 1)}

    def _totals(self, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sum of each slice, and for each tie the sum from it to the end of its slice."""
        totals = np.add.reduceat(amounts, self._slices, axis=1)
        before = np.cumsum(amounts, axis=1) - amounts
        return totals, totals[:, self._slice_of_tie] - (before - before[:, self._slices[self._slice_of_tie]])


def _starts_of_runs(codes: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.diff(codes, prepend=-1))


def _binary_terms(label: np.ndarray, probability: np.ndarray) -> np.ndarray:
    chosen = (probability > THRESHOLD).astype(np.float64)
    clipped = np.clip(probability, EPSILON, 1 - EPSILON)
    loss = -np.where(label > 0, np.log(clipped), np.log1p(-clipped))
    return np.stack([np.ones_like(label), label, chosen, chosen * label, chosen == label, loss, probability], axis=1)


def _binary_from_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    weight, positives, chosen, hits, correct, loss, probability = np.moveaxis(sums, -1, 0)
    return {
        "accuracy": correct / weight,
        "precision": hits / chosen,
        "recall": hits / positives,
        "log_loss": loss / weight,
        "calibration": np.where(positives > 0, probability / positives, np.nan),
    }


def _multiclass_terms(label: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    of_label = np.take_along_axis(probabilities, label.astype(np.int64)[:, None], axis=1)[:, 0]
    loss = -np.log(np.clip(of_label / probabilities.sum(axis=1), EPSILON, 1 - EPSILON))
    correct = probabilities.argmax(axis=1) == label
    return np.stack([np.ones_like(label), correct, loss], axis=1)


def _multiclass_from_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    weight, correct, loss = np.moveaxis(sums, -1, 0)
    return {"accuracy": correct / weight, "log_loss": loss / weight}


def _regression_terms(label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    # Centred, so that the variance does not vanish between two large sums.
    centred = label - (label.mean() if len(label) else 0.0)
    error = prediction - label
    return np.stack([np.ones_like(label), centred, centred**2, error**2, np.abs(error)], axis=1)


def _regression_from_sums(sums: np.ndarray) -> dict[str, np.ndarray]:
    weight, label, label_squared, squared, absolute = np.moveaxis(sums, -1, 0)
    variation = label_squared - label**2 / weight
    constant = variation <= 1e-12 * np.maximum(label_squared, 1e-300)
    mse = squared / weight
    return {
        "rmse": np.sqrt(mse),
        "mae": absolute / weight,
        "mse": mse,
        "r_squared": np.where(constant, np.nan, 1 - squared / variation),
    }


_FROM_SUMS = {
    "binary_classification": _binary_from_sums,
    "multiclass_classification": _multiclass_from_sums,
    "regression": _regression_from_sums,
}
