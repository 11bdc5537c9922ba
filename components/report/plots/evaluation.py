"""Metrics with their intervals, and slices against the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.report.drawing import ACCENT, BAD, INK, LINE, MUTED, OTHER, PAPER, UNSURE, render, tip
from components.report.formats import count, number, plain

ROW = 58
SLICE_ROW = 21


@dataclass(frozen=True)
class SliceRow:
    """One slice on the plot.

    Args:
        value: value of the feature, as text.
        examples: rows in it.
        metric: the metric on it.
        interval: its confidence interval, or None.
        verdict: `fail`, `not_enough_data`, or anything else for an unmarked one.
    """

    value: str
    examples: int
    metric: float
    interval: tuple[float, float] | None
    verdict: str | None = None


def metrics_plot(
    model: Mapping[str, Any], baseline: Mapping[str, Any], bounds: Mapping[str, Sequence[float]], label: str
) -> str:
    """Return a dot with whiskers per metric, the model above the baseline, each metric on a scale of its own.

    Args:
        model: metric to `{"value", "interval"}`.
        baseline: the same of the baseline; empty when there is none.
        bounds: metric to the gate's absolute bounds on it.
        label: text for assistive technology.
    """
    names = [name for name, entry in model.items() if entry.get("value") is not None]

    def paint(figure: Any) -> None:
        for axes, name in zip(figure.subplots(len(names), 1, squeeze=False)[:, 0], names, strict=True):
            axes.set_title(name, loc="left", color=INK, pad=2)
            axes.set_yticks([])
            axes.grid(axis="x")
            axes.spines["left"].set_visible(False)
            two = bool(baseline.get(name))
            axes.set_ylim((-1.1, 0.6) if two else (-0.8, 0.8))
            _whisker(axes, 0.0, model[name], ACCENT, f"this model: {name}")
            if two:
                _whisker(axes, -0.6, baseline[name], OTHER, f"baseline: {name}")
            for bound in bounds.get(name, ()):
                tip(axes.axvline(bound, color=INK, linewidth=1.3, linestyle=(0, (3, 2))), f"gate: {plain(bound)}")
            _roomy(axes)

    return render(label, ROW * len(names) + 8, paint)


def _roomy(axes: Any) -> None:
    """Give a narrow axis at most five round ticks and some air at both ends."""
    from matplotlib.ticker import MaxNLocator

    axes.margins(x=0.12)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))


def _whisker(axes: Any, height: float, entry: Mapping[str, Any], colour: str, text: str) -> None:
    value, interval = entry.get("value"), entry.get("interval")
    if value is None:
        return
    said = f"{text} {number(value)}"
    if interval:
        said += f" ({number(interval[0])} to {number(interval[1])})"
        tip(axes.plot(interval, [height, height], color=colour, linewidth=2.2, alpha=0.75), said)
    tip(axes.plot([value], [height], "o", color=colour, markersize=7, markeredgecolor=PAPER, markeredgewidth=1.2), said)


def slices_plot(rows: Sequence[SliceRow], metric: str, overall: float | None, bound: float | None, label: str) -> str:
    """Return one row per slice: dot as large as the slice, whiskers, the value on all rows as a line.

    Args:
        rows: in the order from top to bottom.
        metric: its name.
        overall: the metric on all rows.
        bound: the gate's bound on every slice, or None.
        label: text for assistive technology.
    """
    largest = max(row.examples for row in rows)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.grid(axis="y", color=LINE, linewidth=0.5)
        if overall is not None:
            tip(axes.axvline(overall, color=MUTED, linewidth=1.2), f"all rows: {metric} {number(overall)}")
        if bound is not None:
            line = axes.axvline(bound, color=INK, linewidth=1.3, linestyle=(0, (3, 2)))
            tip(line, f"gate: {metric} {plain(bound)}")
        for place, row in enumerate(rows):
            _slice(axes, place, row, largest, metric)
        axes.set_yticks(range(len(rows)), [_short(row.value) for row in rows])
        for tick, row in zip(axes.get_yticklabels(), rows, strict=True):
            tick.set_color(BAD if row.verdict == "fail" else INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(metric)
        _roomy(axes)

    return render(label, SLICE_ROW * len(rows) + 46, paint)


def _slice(axes: Any, place: int, row: SliceRow, largest: int, metric: str) -> None:
    colour = {"fail": BAD, "not_enough_data": UNSURE}.get(row.verdict or "", ACCENT)
    said = f"{row.value}: {metric} {number(row.metric)}, {count(row.examples)} rows"
    if row.interval:
        said += f", interval {number(row.interval[0])} to {number(row.interval[1])}"
        tip(axes.plot(row.interval, [place, place], color=colour, linewidth=1.8, alpha=0.6), said)
    size = 3.5 + 8 * (row.examples / largest) ** 0.5
    fill = PAPER if row.verdict == "not_enough_data" else colour
    dot = axes.plot([row.metric], [place], "o", markersize=size, markerfacecolor=fill, markeredgecolor=colour)
    tip(dot, said)


def _short(text: str, limit: int = 22) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
