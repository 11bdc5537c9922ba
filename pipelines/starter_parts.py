"""The parts that every started spec has: its head, label, training, gate and serving."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from components.data.inspect import FEW, ColumnFacts
from components.features import Task

GATES: dict[str, tuple[str, ...]] = {
    "binary_classification": ("auc >= 0.6", "auc drop <= 0.01"),
    "multiclass_classification": ("accuracy >= {chance:.2f}", "accuracy drop <= 0.02"),
    "regression": ("r_squared >= 0.1", "rmse rise <= 0.1"),
}
SMALL = 5_000
"""Rows below which a small model and small batches do."""


def task_of(label: ColumnFacts) -> Task:
    """Return what predicting a column is."""
    if label.distinct == 2:
        return "binary_classification"
    if label.is_text or label.distinct <= FEW:
        return "multiclass_classification"
    return "regression"


def label_of(label: ColumnFacts, task: Task) -> str:
    """Return the label as the spec writes it; of two values the rarer one counts as 1."""
    if task != "binary_classification" or (set(label.examples) == {"0", "1"} and not label.is_text):
        return scalar(label.name)
    rarer = label.examples[-1]
    value = repr(rarer) if label.is_text else rarer
    name = re.sub(r"\W+", "_", f"{label.name}_is_{rarer}".lower()).strip("_")
    return "{" + f"{name}: {scalar(f'{label.name} == {value}')}" + "}"


def head(folder: Path, data: Path, found: str, task: Task) -> list[str]:
    """Return the lines before the data; `found` says what lies there, such as `300 rows`."""
    name = re.sub(r"[^a-z0-9_-]+", "_", data.stem.lower()).strip("_-")[:60] or "pipeline"
    name = name if name[0].isalpha() else f"p_{name}"
    return [
        f"# sluice run {folder} · from {data.name}, {found}",
        "# Every key is explained in the README; `sluice list` shows steps and models.",
        f"name: {name}",
        f"task: {task}",
        "",
    ]


def tail(model: str, label: ColumnFacts, task: Task) -> list[str]:
    """Return the lines from the model on."""
    small = label.rows < SMALL
    chance = min(0.95, 1.2 / max(label.distinct, 1))
    return [
        f"model: {model}",
        "",
        "training:",
        f"  epochs: {60 if small else 20}                                 # at most; early stopping ends it sooner",
        f"  batch_size: {32 if small else 256}",
        "  early_stopping: {patience: 5}",
        "",
        "evaluation:",
        "  gate:                                    # all must hold, or nothing is pushed",
        *[f"    - {rule.format(chance=chance)}" for rule in GATES[task]],
        "",
        "serving: {push_to: serving}                # TF Serving's layout, in the pipeline's folder",
        "",
    ]


def remark(line: str, text: str) -> str:
    """Return a line with a comment in the column of the others."""
    return f"{line:<42} # {text}"


def shortened(texts: Sequence[str], at_most: int = 60) -> str:
    """Return values in a row, for a comment."""
    joined = ", ".join(" ".join(text.split()) for text in texts)
    return joined if len(joined) <= at_most else joined[: at_most - 2].rstrip() + " …"


def scalar(text: str) -> str:
    """Return text as YAML writes it, in quotes where it must."""
    return yaml.safe_dump(text, allow_unicode=True, width=10_000).strip().removesuffix("...").strip()
