"""Predictions to what the gate judges and the report shows: every metric, its interval, on all rows and on slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.evaluation.config import METRICS, EvaluationConfig
from components.evaluation.gate import SHOWN_CONFIDENCE
from components.evaluation.intervals import Resamples, resample
from components.evaluation.measured import Interval, Measured, MeasuredGroup
from components.evaluation.measures import SlicedMetrics
from components.evaluation.predictions import Predictions
from components.evaluation.slices import SliceGroup


@dataclass(frozen=True)
class Findings:
    """What was measured.

    Args:
        overall: on all rows.
        groups: columns to what was measured on their slices.
    """

    overall: Measured
    groups: Mapping[tuple[str, ...], MeasuredGroup]


def measure(predictions: Predictions, groups: list[SliceGroup], config: EvaluationConfig) -> Findings:
    """Measure both models on all rows and on all slices.

    Args:
        predictions: at least one row.
        groups: the slices of each group of columns.
        config: number of resamples and their seed.
    """
    everything = SliceGroup((), ((),), np.zeros(len(predictions.candidate), np.int64))
    (overall,) = _measure(predictions, everything, config, 0)
    found = {
        group.columns: MeasuredGroup(
            _measure(predictions, group, config, number), group.unmeasured, group.unmeasured_rows
        )
        for number, group in enumerate(groups, 1)
    }
    return Findings(overall, found)


def _measure(
    predictions: Predictions, group: SliceGroup, config: EvaluationConfig, number: int
) -> tuple[Measured, ...]:
    rows = np.flatnonzero(group.codes >= 0)
    if not len(rows):
        return ()
    codes = group.codes[rows]
    candidate = SlicedMetrics(predictions.candidate.take(rows), codes)
    baseline = None if predictions.baseline is None else SlicedMetrics(predictions.baseline.take(rows), codes)
    resamples = resample(candidate, baseline, samples=config.bootstrap_samples, seed=(config.seed, number))
    examples = np.bincount(codes)
    return tuple(
        Measured(
            examples=int(examples[index]),
            values=_at(candidate.values, index),
            baseline=None if baseline is None else _at(baseline.values, index),
            slice=group.names(index) if group.columns else None,
            interval=_Intervals(resamples, index),
        )
        for index in range(len(examples))
    )


@dataclass(frozen=True)
class _Intervals:
    """The intervals of one slice."""

    resamples: Resamples
    index: int

    def __call__(self, metric: str, confidence: float, change: bool) -> Interval | None:
        return self.resamples.interval(metric, self.index, confidence, change=change)


def _at(values: Mapping[str, np.ndarray], index: int) -> dict[str, float | None]:
    return {name: float(found[index]) if np.isfinite(found[index]) else None for name, found in values.items()}


def metrics_json(task: str, label: str, findings: Findings, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics.json.

    Args:
        task: what kind of prediction it is.
        label: name of the label.
        findings: what was measured.
        drawn: what `curves` returned.
    """
    overall = findings.overall
    baseline = overall.baseline
    return {
        "task": task,
        "label": label,
        "examples": overall.examples,
        "overall": _metrics(overall),
        "baseline": None
        if baseline is None
        else {name: {"value": baseline[name], "interval": None} for name in METRICS[task]},
        "slices": [
            {"slice": dict(measured.slice or {}), "examples": measured.examples, "metrics": _metrics(measured)}
            for group in findings.groups.values()
            for measured in group.slices
        ],
        **drawn,
    }


def _metrics(measured: Measured) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "value": value,
            "interval": measured.interval(name, SHOWN_CONFIDENCE, False) if value is not None else None,
        }
        for name, value in measured.values.items()
    }
