"""Bootstrap percentile intervals of the metrics, and of their change against a baseline measured on the same rows.

Reference: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. Each resample draws a row a
Poisson(1) number of times instead of drawing `rows` times with replacement, so that resamples need no shared total
(Hanley and MacGibbon 2006; what TFMA does too). Beyond `MAX_ROWS` rows a random part of the rows is resampled and the
spread is shrunk by sqrt(part / rows): the m out of n bootstrap (Bickel, Götze and van Zwet 1997).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from components.evaluation.measured import Interval
from components.evaluation.measures import SlicedMetrics

MAX_ROWS = 50_000
"""Rows that are resampled at most, overall and again for all slices of one group together."""

MIN_ROWS_PER_SLICE = 500
"""A slice with up to this many rows is resampled whole, however many slices there are."""

MAX_UNDEFINED = 0.05
"""With a larger share of resamples in which the metric is not defined there is no interval."""

_VALUES_AT_ONCE = 400_000
"""Draws in one block: small enough for the processor's cache, large enough to be worth a call."""

_BOUNDED = frozenset({"auc", "auc_pr", "accuracy", "precision", "recall"})

_CUMULATIVE = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(10)])
_POISSON = np.searchsorted(_CUMULATIVE, (np.arange(65_536) + 0.5) / 65_536).astype(np.uint8)
"""Poisson(1) by inversion from 16 random bits: ten times faster than numpy's."""


@dataclass(frozen=True)
class Resamples:
    """What each metric was in each resample.

    Args:
        values: metric to `[resamples, slices]` of the candidate.
        changes: the same of candidate minus baseline; empty without a baseline.
    """

    values: dict[str, np.ndarray] = field(default_factory=dict)
    changes: dict[str, np.ndarray] = field(default_factory=dict)

    def interval(self, metric: str, slice_index: int, confidence: float, *, change: bool = False) -> Interval | None:
        """Return the percentile interval, or None when there is none.

        Args:
            metric: name of the metric.
            slice_index: number of the slice.
            confidence: 0.95 gives the 2.5th and the 97.5th percentile.
            change: of the change against the baseline instead of the candidate's value.
        """
        found = (self.changes if change else self.values).get(metric)
        if found is None or not len(found):
            return None
        column = found[:, slice_index]
        defined = column[np.isfinite(column)]
        if len(defined) < (1 - MAX_UNDEFINED) * len(column):
            return None
        low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)


def resample(
    candidate: SlicedMetrics, baseline: SlicedMetrics | None = None, *, samples: int, seed: tuple[int, ...]
) -> Resamples:
    """Resample the rows and measure both models on each resample.

    Args:
        candidate: the rows with the candidate's answers.
        baseline: the same rows and slices, in the same order, with the baseline's; None if there is none.
        samples: number of resamples; 0 gives empty results.
        seed: fixes all draws.
    """
    if not samples:
        return Resamples()
    models = [candidate] if baseline is None else [candidate, baseline]
    rows, shrink = _rows_to_resample(candidate.codes, np.random.default_rng((*seed, 0)))
    parts = models
    if (shrink < 1).any():
        parts = [SlicedMetrics(model.scored.take(rows), model.codes[rows]) for model in models]
    drawn = _measure_resamples(parts, len(rows), samples, np.random.default_rng((*seed, 1)))
    if parts is not models:
        drawn = [
            _recentre(values, model.values, part.values, shrink)
            for values, model, part in zip(drawn, models, parts, strict=True)
        ]
    changes = {} if baseline is None else {name: drawn[0][name] - drawn[1][name] for name in drawn[0]}
    return Resamples(drawn[0], changes)


def _measure_resamples(
    models: list[SlicedMetrics], rows: int, samples: int, random: np.random.Generator
) -> list[dict[str, np.ndarray]]:
    at_once = max(1, _VALUES_AT_ONCE // rows)
    blocks: list[list[dict[str, np.ndarray]]] = [[] for _ in models]
    for start in range(0, samples, at_once):
        bits = random.integers(0, 65_536, (min(at_once, samples - start), rows), np.uint16)
        counts = _POISSON[bits]
        for model, found in zip(models, blocks, strict=True):
            found.append(model.resampled(counts))
    return [{name: np.concatenate([block[name] for block in found]) for name in found[0]} for found in blocks]


def _rows_to_resample(codes: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows, at most a number per slice, and for each slice sqrt(rows resampled / rows)."""
    total = len(codes)
    sizes = np.bincount(codes)
    limit = max(MIN_ROWS_PER_SLICE, MAX_ROWS // len(sizes))
    if sizes.max() <= limit:
        return np.arange(total), np.ones(len(sizes))
    shuffled = random.permutation(total)
    by_slice = shuffled[np.argsort(codes[shuffled], kind="stable")]
    rank = np.arange(total) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(by_slice[rank < limit]), np.sqrt(np.minimum(sizes, limit) / sizes)


def _recentre(
    drawn: dict[str, np.ndarray], whole: dict[str, np.ndarray], part: dict[str, np.ndarray], shrink: np.ndarray
) -> dict[str, np.ndarray]:
    moved = {name: whole[name] + shrink * (values - part[name]) for name, values in drawn.items()}
    return {name: np.clip(values, 0, 1) if name in _BOUNDED else values for name, values in moved.items()}
