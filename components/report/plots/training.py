"""Curves over the epochs of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.report.drawing import ACCENT, MUTED, OTHER, PAPER, render, tip
from components.report.formats import number, plain

HEIGHT = 210


def curves_plot(
    name: str, epochs: Sequence[int], lines: Mapping[str, Sequence[float | None]], best: int | None, label: str
) -> str:
    """Return one quantity over the epochs.

    Args:
        name: of the quantity.
        epochs: their numbers.
        lines: `train`, `eval` or both, each with a value per epoch; None leaves a gap.
        best: epoch to mark, or None.
        label: text for assistive technology.
    """

    def paint(figure: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        if best is not None:
            axes.axvline(best, color=MUTED, linewidth=1.2, linestyle=(0, (3, 2)))
        for split, values in lines.items():
            _line(axes, name, split, epochs, values)
        _mark_best(axes, epochs, lines, best)
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        if len(epochs) == 1:
            axes.set_xlim(epochs[0] - 0.5, epochs[0] + 0.5)

    return render(label, HEIGHT, paint)


def _line(axes: Any, name: str, split: str, epochs: Sequence[int], values: Sequence[float | None]) -> None:
    colour = OTHER if split == "eval" else ACCENT
    known = [(epoch, value) for epoch, value in zip(epochs, values, strict=False) if value is not None]
    if not known:
        return
    axes.plot(*zip(*known, strict=True), color=colour)
    for epoch, value in known if len(known) <= 60 else ():
        dot = axes.plot([epoch], [value], "o", color=colour, markersize=4.5)
        tip(dot, f"epoch {epoch}, {split} {name} {plain(value) if name == 'learning rate' else number(value)}")


def _mark_best(axes: Any, epochs: Sequence[int], lines: Mapping[str, Sequence[float | None]], best: int | None) -> None:
    values = lines.get("eval")
    if best is None or values is None or best not in epochs:
        return
    value = values[list(epochs).index(best)]
    if value is not None:
        ring = axes.plot([best], [value], "o", markersize=10, markerfacecolor=PAPER, markeredgecolor=OTHER)
        tip(ring, f"best epoch {best}: {number(value)}")
        axes.plot([best], [value], "o", color=OTHER, markersize=4.5)
