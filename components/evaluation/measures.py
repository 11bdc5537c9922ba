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
        codes: `[rows]` number of each row's slice, `0 … slices - 1`, each at least once, fewer than 32,768 of them;
            None is one slice.

    Example:
        >>> scored = Scored("regression", np.array([1.0, 3.0]), np.array([2.0, 3.0]), np.ones(2))
        >>> float(SlicedMetrics(scored).values["mae"][0])
        0.5
    """

    def __init__(self, scored: Scored, codes: np.ndarray | None = None) -> None:
        self.scored = scored
        self.codes = np.zeros(len(scored), np.int16) if codes is None else codes.astype(np.int16)
        ranked = scored.task == "binary_classification"
        by_score = np.argsort(-scored.prediction, kind="stable") if ranked else np.arange(len(scored))
        # numpy sorts 16-bit numbers by radix, ten times faster than it sorts by two keys.
        self.order = by_score[np.argsort(self.codes[by_score], kind="stable")]
        codes = self.codes[self.order]
        self._starts = _starts_of_runs(codes)
        self._weight = scored.weight[self.order].astype(np.float64)
        self._terms = scored.terms[self.order]
        self._ranks = _Ranks(scored.label[self.order], scored.prediction[self.order], codes) if ranked else None

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """Each metric on each slice, `[slices]`; NaN where it is not defined."""
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
    """Areas under the ROC and the precision-recall curve, exact, with ties.

    Args:
        label, score, codes: `[rows]`, sorted by slice, and from the highest score to the lowest in each.
    """

    def __init__(self, label: np.ndarray, score: np.ndarray, codes: np.ndarray) -> None:
        self._is_positive = label.astype(np.float64)
        self._is_negative = 1 - self._is_positive
        self._ties = np.flatnonzero((np.diff(codes, prepend=-1) != 0) | (np.diff(score, prepend=np.nan) != 0))
        self._slices = _starts_of_runs(codes[self._ties])

    def areas(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return `auc` and `auc_pr`, `[resamples, slices]`."""
        positive, positives, positives_above = self._sums(weights * self._is_positive)
        negative, negatives, negatives_above = self._sums(weights * self._is_negative)
        # A positive loses against the negatives with a higher score, and against half of those with the same.
        losses = np.add.reduceat(positive * (negatives_above - negative / 2), self._slices, axis=1)
        pairs = positives * negatives
        above = positives_above + negatives_above
        precision = np.divide(positives_above, above, out=np.zeros_like(above), where=above > 0)
        steps = np.add.reduceat(positive * precision, self._slices, axis=1)
        return {
            "auc": np.where(pairs > 0, np.clip(1 - losses / pairs, 0, 1), np.nan),
            "auc_pr": np.where(positives > 0, np.clip(steps / positives, 0, 1), np.nan),
        }

    def _sums(self, amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the sum of each tie, of each slice, and in each slice of all ties down to this one."""
        ties = amounts if len(self._ties) == amounts.shape[1] else np.add.reduceat(amounts, self._ties, axis=1)
        totals = np.add.reduceat(ties, self._slices, axis=1)
        restarting = ties.copy()
        restarting[:, self._slices[1:]] -= totals[:, :-1]
        return ties, totals, np.cumsum(restarting, axis=1)


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
