"""Start a pipeline from a data file: a commented spec that runs as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from components import catalog
from components.data.inspect import FEW, ColumnFacts, guess_label, inspect, relative_to
from components.errors import Problem, SpecError
from components.features import FeatureKind, Task

SPEC_FILE = "pipeline.yaml"
GATES: dict[str, tuple[str, ...]] = {
    "binary_classification": ("auc >= 0.6", "auc drop <= 0.01"),
    "multiclass_classification": ("accuracy >= {chance:.2f}", "accuracy drop <= 0.02"),
    "regression": ("r_squared >= 0.1", "rmse rise <= 0.1"),
}


@dataclass(frozen=True)
class Starter:
    """What was written.

    Args:
        path: the spec.
        notes: what was guessed, for the reader to check.
    """

    path: Path
    notes: tuple[str, ...]


def write_starter(folder: Path, data: Path, label: str | None = None) -> Starter:
    """Look at a data file and write `pipeline.yaml` into a folder.

    Args:
        folder: made when it is not there.
        data: a CSV or Parquet file.
        label: the column to predict; guessed when None.

    Raises:
        SpecError: the file cannot be read, there is no such column, or the folder has a spec already.
    """
    target = folder / SPEC_FILE
    if target.exists():
        remedy = "Remove it, or choose another folder."
        raise SpecError([Problem("init", f"{target}, which is there already", "a folder without a spec", remedy)])
    facts = inspect(data)
    chosen = _column(facts, label) if label else guess_label(facts)
    features = {fact.name: fact for fact in facts if fact.kind is not None and fact.name != chosen.name}
    if not features:
        expected = "at least one column beside the label that can be a feature"
        raise SpecError(
            [Problem("data", f"{data}", expected, "Give a file with more columns, or write the spec by hand.")]
        )
    task = _task(chosen)
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(_spec(folder, data, facts, chosen, task), encoding="utf-8")
    guessed = "" if label else ", a guess: --label names another"
    notes = [f"{facts[0].rows:,} rows; predicts {chosen.name} ({task.replace('_', ' ')}{guessed})"]
    notes += [f"left out {fact.name}: {fact.reason}" for fact in facts if fact.kind is None and fact is not chosen]
    return Starter(target, tuple(notes))


def _column(facts: Sequence[ColumnFacts], name: str) -> ColumnFacts:
    found = {fact.name: fact for fact in facts}
    if name in found:
        return found[name]
    guess = catalog.nearest(name, list(found))
    remedy = f"Did you mean {guess!r}?" if guess else "Name one of the columns."
    raise SpecError([Problem("--label", repr(name), f"one of {', '.join(found)}", remedy)])


def _task(label: ColumnFacts) -> Task:
    if label.distinct == 2:
        return "binary_classification"
    if label.is_text or label.distinct <= FEW:
        return "multiclass_classification"
    return "regression"


def _label(label: ColumnFacts, task: Task) -> str:
    """Return the label as the spec writes it; of two values the rarer one counts as 1."""
    if task != "binary_classification" or set(label.examples) == {"0", "1"}:
        return _scalar(label.name)
    rarer = label.examples[-1]
    value = rarer if not label.is_text else f"'{rarer}'"
    name = re.sub(r"\W+", "_", f"{label.name}_is_{rarer}".lower()).strip("_")
    return "{" + f"{name}: {_scalar(f'{label.name} == {value}')}" + "}"


def _spec(folder: Path, data: Path, facts: Sequence[ColumnFacts], label: ColumnFacts, task: Task) -> str:
    name = re.sub(r"[^a-z0-9_-]+", "_", data.stem.lower()).strip("_-")[:60] or "pipeline"
    name = name if name[0].isalpha() else f"p_{name}"
    small = label.rows < 5_000
    lines = [
        f"# sluice run {folder} · from {data.name}, {label.rows:,} rows",
        "# Every key is explained in the README; `sluice list` shows steps and models.",
        f"name: {name}",
        f"task: {task}",
        "",
        "data:",
        f"  path: {_scalar(relative_to(data, folder))}",
        "  split: {by: hash, train: 4, eval: 1}      # the same rows always fall into the same split",
        f"  label: {_label(label, task)}",
        "  features:                                # numeric: scaled; categorical: a vocabulary, then an embedding",
        *_features(facts, label),
    ]
    if label.missing:
        lines += ["", "cleaning:                                  # rows that leave before training", ""]
        lines[-1] = f"  - drop_missing: [{_scalar(label.name)}]"
    chance = min(0.95, 1.2 / max(label.distinct, 1))
    lines += [
        "",
        "# transform: without steps of its own, a number gets fill_missing and z_score, a category a vocabulary",
        "",
        f"model: {{family: mlp, hidden_units: {'[32, 16]' if small else '[128, 64]'}, dropout: 0.1}}",
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
    return "\n".join(lines)


def _features(facts: Sequence[ColumnFacts], label: ColumnFacts) -> list[str]:
    lines = []
    for fact in facts:
        if fact.name == label.name:
            continue
        values = ", ".join(fact.examples[:3])
        missing = f", {fact.missing / fact.rows:.1%} missing" if fact.missing else ""
        if fact.kind is None:
            lines.append(f"    # {_scalar(fact.name)}: left out, {fact.reason}")
        else:
            seen = f"{fact.distinct:,} values, such as {values}{missing}".replace("\n", " ")
            kind = "numeric" if fact.kind is FeatureKind.NUMERIC else "categorical"
            lines.append(f"    {_scalar(fact.name)}: {kind}".ljust(43) + f"# {seen}")
    return lines


def _scalar(text: str) -> str:
    """Return text as YAML writes it, in quotes where it must."""
    return yaml.safe_dump(text, allow_unicode=True, width=10_000).strip().removesuffix("...").strip()
