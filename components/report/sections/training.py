"""How training went, epoch by epoch."""

from __future__ import annotations

from typing import Any

from components.report.collect import Findings, Json
from components.report.plots.training import curves_plot

MOST_CURVES = 5
HIGHER_IS_BETTER = ("auc", "accuracy", "precision", "recall", "r_squared", "r2_score")


def view(found: Findings) -> Json | None:
    """Return facts and curves, or None without a history."""
    history = found.data.get("history")
    epochs = [epoch for epoch in (history or {}).get("epochs") or [] if isinstance(epoch, dict)]
    if not history or not epochs:
        return None
    numbers = [int(epoch.get("epoch", index + 1)) for index, epoch in enumerate(epochs)]
    monitor = _monitor(found, epochs)
    best = _best(epochs, monitor)
    best_number = numbers[best] if best is not None else None
    return {
        "epochs": len(epochs),
        "monitor": monitor,
        "best": best,
        "best_number": best_number,
        "best_path": f"history.epochs.{best}.{monitor}",
        "last_path": f"history.epochs.{len(epochs) - 1}",
        "last": epochs[-1],
        "constant_rate": len({epoch.get("learning_rate") for epoch in epochs} - {None}) == 1,
        "plots": [_curve(name, numbers, epochs, best_number) for name in _quantities(epochs)],
        # what an ensemble gains has a place of its own on the page
        "notes": [
            str(note) for note in history.get("notes") or [] if note != (history.get("ensemble") or {}).get("text")
        ],
        "balancing": found.data.get("balancing"),
        "ensemble": _ensemble(history.get("ensemble")),
        "names": [name for name in epochs[0] if name != "epoch"],
        "rows": list(zip(range(len(epochs)), numbers, strict=True)),
    }


def _ensemble(written: Any) -> Json | None:
    """Return members with their scores, or None of a single model."""
    if not isinstance(written, dict) or not written.get("members"):
        return None
    scores = [name for name, value in (written.get("metrics") or {}).items() if _is_number(value)]
    members = [str(member.get("name")) for member in written["members"]]
    best = (written.get("gain") or {}).get("best_member")
    return {"kind": written.get("kind"), "scores": scores, "members": list(enumerate(members)), "best": best}


def _monitor(found: Findings, epochs: list[Json]) -> str:
    training = (found.data["run"].get("spec") or {}).get("training") or {}
    named = (training.get("early_stopping") or {}).get("monitor")
    return named if named in epochs[-1] else "val_loss"


def _best(epochs: list[Json], monitor: str) -> int | None:
    known = [(epoch[monitor], index) for index, epoch in enumerate(epochs) if _is_number(epoch.get(monitor))]
    if not known:
        return None
    if monitor.removeprefix("val_") in HIGHER_IS_BETTER:
        return max(known, key=lambda pair: (pair[0], -pair[1]))[1]
    return min(known)[1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _quantities(epochs: list[Json]) -> list[str]:
    """Return what to draw: the loss, then metrics, then the learning rate where it changed."""
    names = list(dict.fromkeys(name for epoch in epochs for name in epoch))
    pairs = [name for name in names if f"val_{name}" in names]
    pairs.sort(key=lambda name: name != "loss")
    if not pairs and "loss" in names:
        pairs = ["loss"]
    rates = {epoch.get("learning_rate") for epoch in epochs} - {None}
    return pairs[:MOST_CURVES] + (["learning_rate"] if len(rates) > 1 else [])


def _curve(name: str, numbers: list[int], epochs: list[Json], best: int | None) -> Json:
    lines = {"train": [epoch.get(name) for epoch in epochs], "eval": [epoch.get(f"val_{name}") for epoch in epochs]}
    lines = {split: values for split, values in lines.items() if any(_is_number(value) for value in values)}
    written = name.replace("_", " ")
    ends = "; ".join(f"{split} ends at {values[-1]}" for split, values in lines.items())
    label = f"{written} over {len(numbers)} epochs: {ends}"
    svg = curves_plot(written, numbers, lines, best if name != "learning_rate" else None, label)
    return {"title": written, "svg": svg}
