"""How good the predictions are: calibration, ROC, histograms, predicted against actual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.report.drawing import ACCENT, INK, MUTED, OTHER, PAPER, render, tip
from components.report.formats import count, number

SQUARE = 300
FLAT = 220


def calibration_plot(points: Sequence[dict[str, Any]], label: str) -> str:
    """Return observed against predicted frequency, the dots as large as their bins."""
    known = [point for point in points if point.get("count") and point.get("observed") is not None]
    largest = max(point["count"] for point in known)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        _diagonal(axes)
        axes.plot([p["predicted"] for p in known], [p["observed"] for p in known], color=ACCENT, linewidth=1.4)
        for point in known:
            size = 4 + 9 * (point["count"] / largest) ** 0.5
            dot = axes.plot([point["predicted"]], [point["observed"]], "o", color=ACCENT, markersize=size)
            dot[0].set(markeredgecolor=PAPER, markeredgewidth=1.0)
            said = f"predicted {number(point['predicted'])}, observed {number(point['observed'])}"
            tip(dot, f"{said}, {count(point['count'])} rows")
        _unit_square(axes, "mean predicted probability", "observed frequency")

    return render(label, SQUARE, paint)


def roc_plot(points: Sequence[Sequence[float]], auc: float | None, label: str) -> str:
    """Return the receiver operating characteristic."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        _diagonal(axes)
        false_rate, true_rate = zip((0.0, 0.0), *sorted(map(tuple, points)), (1.0, 1.0), strict=True)
        axes.fill_between(false_rate, true_rate, color=ACCENT, alpha=0.10, linewidth=0)
        tip(axes.plot(false_rate, true_rate, color=ACCENT), f"area {number(auc)}" if auc is not None else "ROC")
        if auc is not None:
            axes.text(0.96, 0.06, f"area {number(auc)}", ha="right", color=INK, fontsize=12)
        _unit_square(axes, "false positive rate", "true positive rate")

    return render(label, SQUARE, paint)


def _diagonal(axes: Any) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)))


def _unit_square(axes: Any, x: str, y: str) -> None:
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y, xticks=ticks, yticks=ticks)
    axes.set_xticklabels(["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticklabels(["0", "0.25", "0.5", "0.75", "1"])


def histogram_plot(edges: Sequence[float], series: dict[str, Sequence[int]], horizontal: str, label: str) -> str:
    """Return counts per bin, stacked.

    Args:
        edges: of the bins, one more than there are bins.
        series: name to counts; the first lies at the bottom.
        horizontal: title of the axis of values.
        label: text for assistive technology.
    """

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        base = [0] * (len(edges) - 1)
        widths = [(right - left) * 0.88 for left, right in zip(edges, edges[1:], strict=False)]
        middles = [(left + right) / 2 for left, right in zip(edges, edges[1:], strict=False)]
        for (name, counts), colour in zip(series.items(), (ACCENT, OTHER), strict=False):
            bars = axes.bar(middles, counts, widths, bottom=base, color=colour, linewidth=0, label=name)
            for left, right, much, bar in zip(edges, edges[1:], counts, bars, strict=False):
                tip(bar, f"{number(left)} to {number(right)}: {count(much)} {name}")
            base = [low + much for low, much in zip(base, counts, strict=True)]
        _counted(axes)
        axes.set_xlabel(horizontal)
        axes.grid(axis="x", visible=False)
        axes.set_ylabel("rows")

    return render(label, FLAT, paint)


def _counted(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def actual_plot(labels: Any, predictions: Any, name: str, label: str) -> str:
    """Return predicted against actual values as hexagons, of a stronger colour where there are more rows.

    Args:
        labels: actual values, `[rows]`.
        predictions: predicted values, `[rows]`.
        name: of what is predicted.
        label: text for assistive technology.
    """
    import numpy as np

    both = np.concatenate([labels, predictions])
    low, high = np.quantile(both, 0.002), np.quantile(both, 0.998)
    if not high > low:
        low, high = low - 1, high + 1

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([low, high], [low, high], color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)))
        bins = axes.hexbin(labels, predictions, gridsize=26, extent=(low, high, low, high), mincnt=1, linewidths=0.3)
        _shade(axes, bins)
        pad = (high - low) * 0.02
        axes.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad), xlabel=f"actual {name}")
        axes.set_ylabel(f"predicted {name}")

    return render(label, SQUARE, paint)


def _shade(axes: Any, bins: Any) -> None:
    """Paint each hexagon in the page's accent, its opacity saying how many rows it holds."""
    counts, centres = bins.get_array(), bins.get_offsets()
    shape = bins.get_paths()[0].vertices
    bins.remove()
    most = float(counts.max()) if len(counts) else 1.0
    for much, (x, y) in zip(counts, centres, strict=True):
        corners = shape + (x, y)
        opacity = 0.18 + 0.82 * (float(much) / most) ** 0.4
        (cell,) = axes.fill(corners[:, 0], corners[:, 1], color=ACCENT, alpha=opacity, linewidth=0)
        tip(cell, f"{count(float(much))} rows near actual {number(float(x))}, predicted {number(float(y))}")
