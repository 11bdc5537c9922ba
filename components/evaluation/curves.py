"""What the report draws of the predictions: calibration, confusion matrix, ROC curve, residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from components.evaluation.measures import THRESHOLD, Scored

BINS = 10
ROC_POINTS = 200
SAMPLE = 500
HISTOGRAM_BINS = 40


def curves(scored: Scored, class_names: Sequence[str] | None = None, *, seed: int = 0) -> dict[str, Any]:
    """Return the parts of metrics.json that are drawn.

    Args:
        scored: the rows.
        class_names: names of the classes, in the order of their ids.
        seed: of the sample of residuals.
    """
    if scored.task == "binary_classification":
        return {
            "calibration": calibration(scored.label, scored.prediction, scored.weight),
            "confusion": _binary_confusion(scored),
            **dict(zip(("roc", "roc_thresholds"), roc(scored), strict=True)),
        }
    if scored.task == "multiclass_classification":
        predicted = scored.prediction.argmax(axis=1)
        confidence = scored.prediction.max(axis=1)
        return {
            "calibration": calibration(predicted == scored.label, confidence, scored.weight),
            "confusion": _confusion(scored, class_names),
        }
    return {
        "calibration": calibration(scored.label, scored.prediction, scored.weight),
        "residuals": residuals(scored, seed=seed),
    }


def calibration(observed: np.ndarray, predicted: np.ndarray, weight: np.ndarray) -> list[dict[str, float]]:
    """Return mean prediction and mean label of about ten parts of the rows, from the lowest predictions to the highest.

    Rows with the same prediction stay together, so there may be fewer parts.
    """
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1]))
    part = np.searchsorted(edges, predicted, side="left")
    weights = np.bincount(part, weight, BINS)
    kept = np.flatnonzero(weights > 0)
    sums = [np.bincount(part, weight * values, BINS)[kept] / weights[kept] for values in (predicted, observed)]
    counts = np.bincount(part, minlength=BINS)[kept]
    return [
        {"predicted": float(mean), "observed": float(seen), "count": int(count)}
        for mean, seen, count in zip(*sums, counts, strict=True)
    ]


def roc(scored: Scored) -> tuple[list[list[float]], list[float]]:
    """Return the ROC curve, and the threshold at each of its points; both empty if it is undefined.

    Returns:
        Up to about 200 points `[false positive rate, true positive rate]` from (0, 0) to (1, 1), and a threshold for
        each: scores of at least that much count as positive.
    """
    order = np.argsort(-scored.prediction, kind="stable")
    score = scored.prediction[order]
    positive = np.cumsum(scored.weight[order] * scored.label[order])
    negative = np.cumsum(scored.weight[order] * (1 - scored.label[order]))
    if positive[-1] <= 0 or negative[-1] <= 0:
        return [], []
    ends = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    wanted = np.linspace(0, 1, ROC_POINTS)
    found = np.searchsorted(negative[ends] / negative[-1] + positive[ends] / positive[-1], 2 * wanted)
    ends = ends[np.unique(np.minimum(found, len(ends) - 1))]
    points = np.stack([negative[ends] / negative[-1], positive[ends] / positive[-1]], axis=1)
    if points[-1].min() < 1:
        points, ends = np.append(points, [[1.0, 1.0]], axis=0), np.append(ends, len(score) - 1)
    # nothing reaches a threshold above every score
    return [[0.0, 0.0], *points.tolist()], [float(np.nextafter(score[0], np.inf)), *score[ends].astype(float).tolist()]


def _binary_confusion(scored: Scored) -> dict[str, Any]:
    predicted = (scored.prediction > THRESHOLD).astype(np.int64)
    matrix = np.bincount(scored.label.astype(np.int64) * 2 + predicted, scored.weight, 4).reshape(2, 2)
    return {"threshold": THRESHOLD, "matrix": _counts(matrix), "labels": ["0", "1"]}


def _confusion(scored: Scored, class_names: Sequence[str] | None) -> dict[str, Any]:
    classes = scored.prediction.shape[1]
    cells = scored.label.astype(np.int64) * classes + scored.prediction.argmax(axis=1)
    matrix = np.bincount(cells, scored.weight, classes * classes).reshape(classes, classes)
    names = list(class_names or ())[:classes]
    return {"matrix": _counts(matrix), "labels": names + [str(index) for index in range(len(names), classes)]}


def _counts(matrix: np.ndarray) -> list[list[float]]:
    return (matrix.astype(np.int64) if (matrix == np.round(matrix)).all() else matrix).tolist()


def residuals(scored: Scored, *, seed: int) -> dict[str, Any]:
    """Return the distribution of prediction minus label, and a sample of rows to draw."""
    errors = scored.prediction.astype(np.float64) - scored.label
    counts, edges = np.histogram(errors, HISTOGRAM_BINS)
    chosen = np.random.default_rng(seed).permutation(len(scored))[:SAMPLE]
    return {
        "mean": float(errors.mean()),
        "quantiles": {f"{q:g}": float(np.quantile(errors, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)},
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
        "sample": np.stack([scored.label[chosen], scored.prediction[chosen]], axis=1).astype(float).tolist(),
    }
