"""Calibration, confusion, ROC and residuals."""

from __future__ import annotations

from typing import Any

from components.report.collect import Findings, Json
from components.report.plots.predictions import actual_plot, calibration_plot, histogram_plot, roc_plot

MOST_CLASSES = 20


def view(found: Findings) -> Json | None:
    """Return the plots and the confusion matrix, or None without an evaluation."""
    metrics = found.data.get("metrics")
    if not metrics:
        return None
    counts = found.data.get("predictions") or {}
    regression = metrics.get("task") == "regression"
    plots = _regression(found, metrics, counts) if regression else _classification(metrics, counts)
    return {
        "plots": plots,
        "confusion": confusion(metrics.get("confusion")),
        "residuals": regression and bool(counts),
        "regression": regression,
    }


def _classification(metrics: Json, counts: Json) -> list[Json]:
    plots: list[Json] = []
    calibration = [point for point in metrics.get("calibration") or [] if point.get("count")]
    if calibration:
        svg = calibration_plot(calibration, f"Observed against predicted frequency in {len(calibration)} bins")
        plots.append({"title": "Calibration", "svg": svg, "note": "Larger dots are bins with more rows."})
    if metrics.get("roc"):
        auc = metrics["overall"].get("auc", {}).get("value")
        svg = roc_plot(metrics["roc"], auc, f"Receiver operating characteristic, area {auc}")
        plots.append({"title": "ROC", "svg": svg})
    if counts.get("positive"):
        series = {"label false": counts["negative"], "label true": counts["positive"]}
        svg = histogram_plot(counts["edges"], series, "predicted probability", "Histogram of predictions by label")
        plots.append({"title": "Predictions on the eval split", "svg": svg, "legend": list(series)})
    elif counts.get("right"):
        series = {"right": counts["right"], "wrong": counts["wrong"]}
        horizontal = "probability of the predicted class"
        svg = histogram_plot(counts["edges"], series, horizontal, "Histogram of the highest probability")
        plots.append({"title": "How sure the model is", "svg": svg, "legend": list(series)})
    return plots


def _regression(found: Findings, metrics: Json, counts: Json) -> list[Json]:
    plots: list[Json] = []
    name = str(metrics.get("label") or "label")
    if "prediction" in found.arrays:
        label = f"Predicted against actual {name} on the eval split"
        svg = actual_plot(found.arrays["label"], found.arrays["prediction"], name, label)
        note = "Cells of a stronger colour hold more rows; the line is a perfect prediction."
        plots.append({"title": "Predicted against actual", "svg": svg, "note": note})
    if counts.get("residuals"):
        horizontal = f"predicted − actual {name}"
        svg = histogram_plot(counts["edges"], {"rows": counts["residuals"]}, horizontal, "Histogram of residuals")
        plots.append({"title": "Residuals", "svg": svg})
    return plots


def confusion(written: Json | None) -> Json | None:
    """Return the confusion matrix as shaded cells, cut to the most frequent classes.

    Args:
        written: `confusion` of metrics.json: `matrix[actual][predicted]`, `labels`, `threshold`.
    """
    if not written or not written.get("matrix"):
        return None
    matrix = written["matrix"]
    labels = written.get("labels") or list(range(len(matrix)))
    kept = sorted(range(len(matrix)), key=lambda index: -sum(matrix[index]))[:MOST_CLASSES]
    kept.sort()
    return {
        "labels": [str(labels[index]) for index in kept],
        "threshold": written.get("threshold"),
        "dropped": len(matrix) - len(kept),
        "rows": [_confusion_row(matrix, labels, index, kept) for index in kept],
    }


def _confusion_row(matrix: list[list[float]], labels: list[Any], index: int, kept: list[int]) -> Json:
    total = sum(matrix[index]) or 1
    cells = [
        {
            "path": f"metrics.confusion.matrix.{index}.{column}",
            "share": matrix[index][column] / total,
            "right": column == index,
        }
        for column in kept
    ]
    return {"label": str(labels[index]), "total": sum(matrix[index]), "cells": cells}
