"""The predictions on the eval split, boiled down to what the plots need."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BINS = 25
NAMES = ("probability", "probabilities", "prediction", "predictions")


@dataclass
class Predictions:
    """Counts to embed in the page, and the columns themselves where a plot needs every row.

    Args:
        summary: histograms, JSON-able.
        arrays: `label` and `prediction` of a regression.
    """

    summary: dict[str, Any]
    arrays: dict[str, Any] = field(default_factory=dict)


def read(file: Path, task: str) -> Predictions:
    """Read `predictions.parquet`.

    Args:
        file: it has `label` and one of `probability`, `probabilities`, `prediction`.
        task: the spec's task.

    Raises:
        OSError, ValueError: it is not there, or has no such columns.
    """
    import numpy as np
    import pyarrow.parquet as pq

    present = pq.read_schema(file).names
    name = next((name for name in NAMES if name in present), None)
    if name is None or "label" not in present:
        raise ValueError(
            f"{file.name} has the columns {', '.join(present)}; expected label and one of {', '.join(NAMES)}"
        )
    table = pq.read_table(file, columns=["label", name])
    labels = table["label"].to_numpy()
    if task == "multiclass_classification":
        wide = table[name].combine_chunks()
        scores = np.asarray(wide.flatten()).reshape(len(labels), -1)
        return Predictions(_multiclass(labels, scores))
    values = table[name].to_numpy().astype("float64")
    if task == "regression":
        return _regression(labels.astype("float64"), values)
    return Predictions(_binary(labels, values))


def _binary(labels: Any, values: Any) -> dict[str, Any]:
    import numpy as np

    edges = np.linspace(0, 1, BINS + 1)
    positive = labels.astype("float64") > 0.5
    return {
        "edges": edges.tolist(),
        "negative": np.histogram(values[~positive], edges)[0].tolist(),
        "positive": np.histogram(values[positive], edges)[0].tolist(),
    }


def _multiclass(labels: Any, scores: Any) -> dict[str, Any]:
    import numpy as np

    edges = np.linspace(0, 1, BINS + 1)
    right = scores.argmax(axis=1) == labels.astype("int64") if np.issubdtype(labels.dtype, np.number) else None
    top = scores.max(axis=1)
    if right is None:
        return {"edges": edges.tolist(), "all": np.histogram(top, edges)[0].tolist()}
    return {
        "edges": edges.tolist(),
        "right": np.histogram(top[right], edges)[0].tolist(),
        "wrong": np.histogram(top[~right], edges)[0].tolist(),
    }


def _regression(labels: Any, values: Any) -> Predictions:
    import numpy as np

    known = np.isfinite(labels) & np.isfinite(values)
    labels, values = labels[known], values[known]
    if not len(labels):
        return Predictions({})
    errors = values - labels
    reach = float(np.quantile(np.abs(errors), 0.99)) or 1.0
    counts, edges = np.histogram(errors, np.linspace(-reach, reach, BINS + 1))
    summary = {
        "edges": edges.tolist(),
        "residuals": counts.tolist(),
        "beyond": int(len(errors) - counts.sum()),
        "mean_error": float(errors.mean()),
        "median_absolute_error": float(np.median(np.abs(errors))),
        "worst_absolute_error": float(np.abs(errors).max()),
    }
    return Predictions(summary, {"label": labels, "prediction": values})
