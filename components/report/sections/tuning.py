"""Which values were tried for the spec's keys, and what came of them."""

from __future__ import annotations

import json
from typing import Any

from components.report.collect import Findings, Json
from components.report.formats import number, plain
from components.report.plots.tuning import Axis, coordinates_plot


def view(found: Findings) -> Json | None:
    """Return the table of trials and their plot, or None without trials."""
    tuning = found.data.get("tuning") or {}
    trials = [dict(trial, path=f"tuning.trials.{index}") for index, trial in enumerate(tuning.get("trials") or [])]
    if not trials:
        return None
    keys = list(trials[0]["values"])
    for trial in trials:
        trial["cells"] = [_text(trial["values"].get(key)) for key in keys]
        trial["is_best"] = trial["trial"] == tuning.get("best")
    scored = [trial for trial in trials if trial["score"] is not None]
    rising = tuning.get("direction") != "min"
    rows = sorted(scored, key=lambda trial: (-trial["score"] if rising else trial["score"], trial["trial"]))
    return {
        "keys": keys,
        "rows": rows + [trial for trial in trials if trial["score"] is None],
        "count": len(trials),
        "failed": len(trials) - len(scored),
        "chosen": [(key, _text(value)) for key, value in (tuning.get("values") or {}).items()],
        "plot": {"title": "Trials", "svg": _plot(tuning, trials, keys)},
    }


def _plot(tuning: Json, trials: list[Json], keys: list[str]) -> str:
    objective, rising = str(tuning.get("objective")), tuning.get("direction") != "min"
    logs = set(tuning.get("log") or [])
    axes = [Axis(key, tuple(_place(trial["values"].get(key)) for trial in trials), key in logs) for key in keys]
    better = "more is better" if rising else "less is better"
    axes.append(Axis(f"{objective} ({better})", tuple(trial["score"] for trial in trials)))
    places = axes[-1].places()
    quality = [None if place is None else min(place if rising else 1 - place, 0.999) for place in places]
    told = [_told(trial, objective) for trial in trials]
    for index, trial in enumerate(trials):
        if trial["is_best"]:
            quality[index] = 1.0
    best = next((text for text, trial in zip(told, trials, strict=True) if trial["is_best"]), "none")
    return coordinates_plot(axes, told, quality, f"{len(trials)} trials; the best: {best}")


def _told(trial: Json, objective: str) -> str:
    values = ", ".join(f"{key.rpartition('.')[2]} {_text(value)}" for key, value in trial["values"].items())
    came = "failed" if trial["score"] is None else f"{objective} {number(trial['score'])}"
    return f"trial {trial['trial']}: {values}: {came}"


def _place(value: Any) -> Any:
    """Return a number as it is and anything else as text: lists have no place on an axis of numbers."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)


def _text(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return plain(value)
    return value if isinstance(value, str) else json.dumps(value)
