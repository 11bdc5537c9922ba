"""Start a pipeline from a data file or a folder of images: a commented spec that runs as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components import catalog
from components.data.inspect import ColumnFacts, guess_label, inspect, relative_to
from components.errors import Problem, SpecError
from components.features import FeatureKind, Task
from pipelines.starter_images import image_spec
from pipelines.starter_parts import SMALL, head, label_of, remark, scalar, shortened, tail, task_of

SPEC_FILE = "pipeline.yaml"


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
    """Look at data and write `pipeline.yaml` into a folder.

    Args:
        folder: made when it is not there.
        data: a CSV or Parquet file, or a folder of images, `CLASS/FILE.png`.
        label: the column to predict; guessed when None.

    Raises:
        SpecError: the data cannot be read, there is no such column, or the folder has a spec already.
    """
    target = folder / SPEC_FILE
    if target.exists():
        remedy = "Remove it, or choose another folder."
        raise SpecError([Problem("init", f"{target}, which is there already", "a folder without a spec", remedy)])
    text, notes = (image_spec if data.is_dir() else _table_spec)(folder, data, label)
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return Starter(target, tuple(notes))


def _table_spec(folder: Path, data: Path, label: str | None) -> tuple[str, list[str]]:
    """Return a spec for a file of rows, and what was guessed."""
    facts = inspect(data)
    chosen = _column(facts, label) if label else guess_label(facts)
    features = [fact for fact in facts if fact.kind is not None and fact.name != chosen.name]
    if not features:
        expected = "at least one column beside the label that can be a feature"
        raise SpecError(
            [Problem("data", f"{data}", expected, "Give a file with more columns, or write the spec by hand.")]
        )
    task = task_of(chosen)
    guessed = "" if label else ", a guess: --label names another"
    notes = [f"{facts[0].rows:,} rows; predicts {chosen.name} ({task.replace('_', ' ')}{guessed})"]
    texts = [fact for fact in features if fact.kind is FeatureKind.TEXT]
    notes += [f"{text.name}: free text, about {text.words:.0f} words a row" for text in texts]
    notes += [f"left out {fact.name}: {fact.reason}" for fact in facts if fact.kind is None and fact is not chosen]
    return _table_lines(folder, data, facts, chosen, task), notes


def _column(facts: Sequence[ColumnFacts], name: str) -> ColumnFacts:
    found = {fact.name: fact for fact in facts}
    if name in found:
        return found[name]
    guess = catalog.nearest(name, list(found))
    remedy = f"Did you mean {guess!r}?" if guess else "Name one of the columns."
    raise SpecError([Problem("--label", repr(name), f"one of {', '.join(found)}", remedy)])


def _table_lines(folder: Path, data: Path, facts: Sequence[ColumnFacts], label: ColumnFacts, task: Task) -> str:
    lines = [
        *head(folder, data, f"{label.rows:,} rows", task),
        "data:",
        f"  path: {scalar(relative_to(data, folder))}",
        "  split: {by: hash, train: 4, eval: 1}      # the same rows always fall into the same split",
        f"  label: {label_of(label, task)}",
        "  features:                                # numeric: scaled; categorical: a vocabulary, then an embedding",
        *_features(facts, label),
    ]
    if label.missing:
        lines += ["", "cleaning:                                  # rows that leave before training"]
        lines += [f"  - drop_missing: [{scalar(label.name)}]"]
    texts = [fact for fact in facts if fact.kind is FeatureKind.TEXT and fact.name != label.name]
    units, dropout = ("[32, 16]" if label.rows < SMALL else "[128, 64]"), 0.1
    if texts:  # thousands of words to few rows: without much dropout the network learns them by heart
        units, dropout = "[64]", 0.5
    model = f"{{family: mlp, hidden_units: {units}, dropout: {dropout}}}"
    return "\n".join([*lines, "", *_transform(texts, label.rows), "", *tail(model, label, task)])


def _transform(texts: Sequence[ColumnFacts], rows: int) -> list[str]:
    """Return the chains of texts; other features have chains by default."""
    lines = [
        "# transform: without steps of its own, a number gets fill_missing and z_score, a category a vocabulary",
    ]
    if texts:
        lines = ["transform:                                 # other features: by default scaled, or a vocabulary"]
    top_k = 1_000 if rows < SMALL else 5_000
    for fact in texts:
        chain = f"[normalize_text, tokenize: words, tf_idf: {{top_k: {top_k}, min_frequency: 2}}]"
        lines.append(f"  {scalar(fact.name)}: {chain}")
    return lines


def _features(facts: Sequence[ColumnFacts], label: ColumnFacts) -> list[str]:
    lines = []
    for fact in facts:
        if fact.name == label.name:
            continue
        missing = f", {fact.missing / fact.rows:.1%} missing" if fact.missing else ""
        if fact.kind is None:
            lines.append(f"    # {scalar(fact.name)}: left out, {fact.reason}")
            continue
        seen = f"{fact.distinct:,} values, such as {shortened(fact.examples[:3])}"
        if fact.kind is FeatureKind.TEXT:
            seen = f"{fact.distinct:,} texts of about {fact.words:.0f} words"
        lines.append(remark(f"    {scalar(fact.name)}: {fact.kind.value}", seen + missing))
    return lines
