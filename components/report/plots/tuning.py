"""Parallel coordinates of the trials of a search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.report.drawing import ACCENT, BAD, INK, LINE, MUTED, PAPER, render, tip
from components.report.formats import plain

ROW = 62
MOST_LABELS = 5
BEHIND: dict[str, Any] = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.0, "alpha": 0.8}
"""Keeps lines that run behind a text from making it hard to read."""


@dataclass(frozen=True)
class Axis:
    """One horizontal axis.

    Args:
        name: what it shows.
        values: one per trial: numbers, texts, or None where a trial has none.
        log: whether equal ratios are equally far apart.
    """

    name: str
    values: tuple[Any, ...]
    log: bool = False

    @property
    def is_numeric(self) -> bool:
        """Whether places are by size; else each text has its own place."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self._known)

    @property
    def _known(self) -> list[Any]:
        return [value for value in self.values if value is not None]

    def places(self) -> list[float | None]:
        """Return where each trial crosses the axis, 0 to 1.

        Example:
            >>> Axis("rate", (0.001, 0.01, 0.1, None), log=True).places()
            [0.0, 0.5, 1.0, None]
        """
        if not self.is_numeric:
            kinds = self.kinds()
            return [None if value is None else _between(kinds.index(value), 0, len(kinds) - 1) for value in self.values]
        scaled = [None if value is None else math.log10(value) if self.log else float(value) for value in self.values]
        known = [value for value in scaled if value is not None]
        return [None if value is None else round(_between(value, min(known), max(known)), 6) for value in scaled]

    def kinds(self) -> list[Any]:
        """Return the different values, in order."""
        kinds = list(dict.fromkeys(self._known))
        return sorted(kinds) if self.is_numeric else kinds


def _between(value: float, low: float, high: float) -> float:
    return 0.5 if high == low else (value - low) / (high - low)


def coordinates_plot(axes: Sequence[Axis], told: Sequence[str], quality: Sequence[float | None], label: str) -> str:
    """Return one axis below the other, and a line per trial through all of them.

    Args:
        axes: the hyperparameters, then the objective.
        told: text per trial that shows while the pointer is on its line.
        quality: per trial 0 for the worst to 1 for the best, which is drawn thick; None for a failed one.
        label: text for assistive technology.
    """

    def paint(figure: Any) -> None:
        area = figure.subplots()
        area.set_axis_off()
        area.set_xlim(-0.04, 1.04)
        area.set_ylim(-len(axes) + 0.6, 0.5)
        for row, axis in enumerate(axes):
            _axis(area, -row, axis)
        crossings = list(zip(*(axis.places() for axis in axes), strict=True))
        for trial in sorted(range(len(told)), key=lambda one: quality[one] or 0.0):
            _trial(area, crossings[trial], told[trial], quality[trial])

    return render(label, ROW * len(axes), paint)


def _axis(area: Any, height: float, axis: Axis) -> None:
    area.plot([0, 1], [height, height], color=LINE, linewidth=1.4)
    area.text(0, height + 0.15, axis.name, color=INK, ha="left", va="bottom", bbox=BEHIND)
    kinds = axis.kinds()
    places = dict(zip(axis.values, axis.places(), strict=True))
    shown = kinds if len(kinds) <= MOST_LABELS else [kinds[0], kinds[-1]]
    for value in shown:
        place = places[value]
        if place is None:
            continue
        side = "left" if place < 0.05 else "right" if place > 0.95 else "center"
        if axis.is_numeric and (0 < place < 0.2 or 0.8 < place < 1):
            continue  # it would run into the label at the end
        text = plain(value) if axis.is_numeric else str(value)
        area.text(place, height - 0.1, text, color=MUTED, ha=side, va="top", fontsize=10.5, bbox=BEHIND)


def _trial(area: Any, places: Sequence[float | None], told: str, quality: float | None) -> None:
    points = [(place, -row) for row, place in enumerate(places) if place is not None]
    across, down = zip(*points, strict=True)
    if quality is None:
        tip(area.plot(across, down, color=BAD, linewidth=1.2, linestyle=(0, (3, 2)), alpha=0.7), told)
    elif quality == 1:
        tip(area.plot(across, down, color=ACCENT, linewidth=2.6), told)
        area.plot(across, down, "o", color=ACCENT, markersize=6.5, markeredgecolor=PAPER, markeredgewidth=1.2)
    else:
        tip(area.plot(across, down, color=MUTED, linewidth=1.3, alpha=0.15 + 0.5 * quality), told)
