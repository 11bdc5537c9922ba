"""Time and memory per component."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from components.report.drawing import ACCENT, BAD, INK, MUTED, render, tip

ROW = 25


def bars_plot(rows: Sequence[tuple[str, float, str]], written: Callable[[float], str], label: str) -> str:
    """Return one bar per component with its amount beside it.

    Args:
        rows: name, amount and status (`done`, `cached`, `failed`, `skipped`) of each, from top to bottom.
        written: amount to text.
        label: text for assistive technology.
    """
    most = max((amount for _, amount, _ in rows), default=0) or 1.0

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.grid(visible=False)
        for place, (name, amount, status) in enumerate(rows):
            colour = {"failed": BAD, "cached": MUTED}.get(status, ACCENT)
            said = written(amount) if status in ("done", "failed") else status
            bar = axes.barh(
                place, max(amount, most * 0.004), 0.62, color=colour, alpha=0.5 if status == "cached" else 1
            )
            tip(bar.patches[0], f"{name}: {said}")
            axes.annotate(said, (amount, place), (5, 0), textcoords="offset points", va="center", color=MUTED)
        axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(0, most * 1.36)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)

    return render(label, ROW * len(rows) + 6, paint)
