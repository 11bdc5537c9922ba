"""What was measured, as the gate sees it: numbers of one slice, and where to get their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Interval = tuple[float, float]
IntervalOf = Callable[[str, float, bool], Interval | None]


def _no_interval(metric: str, confidence: float, change: bool) -> Interval | None:  # noqa: ARG001
    return None


@dataclass(frozen=True)
class Measured:
    """What was measured on one slice, or on all rows.

    Args:
        examples: number of rows.
        values: metric to value; None where it is not defined.
        baseline: the same of the baseline model; None without one.
        slice: column to value; None is all rows.
        interval: gives the bootstrap interval for a metric and a confidence, of the metric itself or, when the third
            argument is true, of its change against the baseline; None if there is none.
    """

    examples: int
    values: Mapping[str, float | None]
    baseline: Mapping[str, float | None] | None = None
    slice: Mapping[str, str] | None = None
    interval: IntervalOf = _no_interval


@dataclass(frozen=True)
class MeasuredGroup:
    """What was measured on the slices of one column or group of columns.

    Args:
        slices: one entry per slice.
        unmeasured: number of further, smaller slices that were not measured.
        unmeasured_rows: rows of the largest of those.
    """

    slices: tuple[Measured, ...]
    unmeasured: int = 0
    unmeasured_rows: int = 0
