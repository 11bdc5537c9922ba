"""What in the columns would tell the model the answer, or tell it nothing: looked for in a sample, with numpy alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data import single_feature
from components.data.columns import Codes, numbers
from components.data.overlap import overlap
from components.features import FeatureKind, Task

FEW_ROWS = 50
"""With fewer rows, chance alone makes what is looked for."""

ALONE = {"binary_classification": 0.98, "multiclass_classification": 0.97, "regression": 0.95}
"""Score of a single feature from which on it is taken for the answer: AUC, balanced accuracy, R²."""

COPY = 0.999
"""Correlation from which on a column is taken for a copy."""

UNIQUE = 0.99
"""Share of different values from which on a column names its row."""

MOSTLY_MISSING = 0.5
SMALL_CLASS = 20
OVERLAP = 0.01
"""Share of eval rows with the features of a train row that is worth a look."""

_IDENTIFIER = re.compile(r"(^|_)(id|uuid|guid|key|index|no|nr|number)$", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """One thing that was seen.

    Args:
        level: `suspect`, the score of the model will probably be wrong or a column is useless; `note`, worth knowing.
        column: the column, or what else it concerns.
        where: dotted path in the spec.
        seen: what was seen, with a figure.
        remedy: what to do.
    """

    level: Literal["suspect", "note"]
    column: str
    where: str
    seen: str
    remedy: str


@dataclass(frozen=True)
class Rows:
    """The cleaned rows of a sample.

    Args:
        splits: `train` and `eval`; flat columns of int64, float32 or binary.
        features: what the features mean.
        label: the label of each row, by split; NaN or null where it cannot be computed.
        label_name: its name.
        expression: how it is computed.
        label_columns: the columns that it is computed from.
        task: what kind of prediction it is.
        past: features that are past values of a series; those are alike, and known when a prediction is asked for.
    """

    splits: Mapping[str, pa.RecordBatch]
    features: Mapping[str, FeatureKind]
    label: Mapping[str, pa.Array]
    label_name: str
    expression: str
    label_columns: Sequence[str]
    task: Task
    past: frozenset[str] = frozenset()

    @property
    def train(self) -> pa.RecordBatch:
        """The rows for training."""
        return self.splits["train"]


def findings(rows: Rows) -> list[Finding]:
    """Return everything that was seen, suspects first."""
    looks = (_alone, _label_copies, _label_parts, _identifiers, _copies, _empty, _overlap, _classes)
    found = [finding for look in looks for finding in look(rows)]
    return sorted(found, key=lambda finding: finding.level != "suspect")


def _alone(rows: Rows) -> Iterator[Finding]:
    """A single feature that predicts the label."""
    for name in rows.features:
        score = single_feature.score(rows.train.column(name), rows.label["train"], rows.task)
        if score is not None and score.value >= ALONE[rows.task]:
            seen = f"alone it predicts {rows.label_name}: {score} on rows that it was not fitted to"
            if name in rows.past:
                remedy = "A past value may: let the gate ask for more than that."
                yield Finding("note", name, f"data.features.{name}", seen, remedy)
            else:
                remedy = "Is it known when a prediction is asked for, and not made from the label? If not: take it out."
                yield Finding("suspect", name, f"data.features.{name}", seen, remedy)


def _label_copies(rows: Rows) -> Iterator[Finding]:
    """A feature that is a column of the label under another name."""
    for name in sorted(set(rows.features) - rows.past):
        for other in (column for column in rows.label_columns if column not in rows.features):
            if name not in rows.label_columns and (seen := _same(rows.train.column(name), rows.train.column(other))):
                yield Finding(
                    "suspect",
                    name,
                    f"data.features.{name}",
                    f"nearly a copy of {other!r}, from which the label is computed: {seen}",
                    f"Take {name} out of data.features, unless it is known when a prediction is asked for.",
                )


def _label_parts(rows: Rows) -> Iterator[Finding]:
    """A feature from which the label is computed."""
    for name in rows.features:
        if name in rows.label_columns:
            yield Finding(
                "note",
                name,
                f"data.features.{name}",
                f"the label is computed from it: {rows.expression}",
                "Right if it is known when a prediction is asked for; else take it out of data.features.",
            )


def _identifiers(rows: Rows) -> Iterator[Finding]:
    """A feature whose values name the rows."""
    for name, kind in rows.features.items():
        column = rows.train.column(name)
        codes = Codes.of(column)
        if codes.present < FEW_ROWS or codes.distinct < UNIQUE * codes.present:
            continue
        is_whole = pa.types.is_integer(column.type)
        runs_on = is_whole and pc.max(column).as_py() - pc.min(column).as_py() < 2 * codes.present
        if kind is FeatureKind.CATEGORICAL or runs_on or (is_whole and _IDENTIFIER.search(name)):
            yield Finding(
                "suspect",
                name,
                f"data.features.{name}",
                f"it names the row: {codes.distinct:,} different values in {codes.present:,} rows",
                f"Take {name} out of data.features: no request will hold a value seen in training.",
            )


def _copies(rows: Rows) -> Iterator[Finding]:
    """Two features that say the same."""
    for is_number in (True, False):
        # a column of the label comes last, so that the other one is the copy
        names = sorted(
            (name for name, kind in rows.features.items() if (kind is FeatureKind.NUMERIC) == is_number),
            key=lambda name: name in rows.label_columns,
        )
        candidates = _alike if is_number else _as_many_values
        for first, second in candidates(rows.train, names):
            if {first, second} <= rows.past:
                continue
            seen = _same(rows.train.column(first), rows.train.column(second), as_categories=not is_number)
            if seen:
                yield Finding(
                    "suspect",
                    f"{first}, {second}",
                    f"data.features.{second}",
                    f"the two say the same: {seen}",
                    "Take one of them out of data.features.",
                )


def _alike(train: pa.RecordBatch, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of columns of numbers that are worth a closer look: one product of matrices finds them."""
    columns = {name: values for name in names if (values := numbers(train.column(name))) is not None}
    columns = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    if len(columns) < 2:
        return []
    filled = np.stack([np.where(np.isfinite(values), values, np.nanmean(values)) for values in columns.values()])
    centred = filled - filled.mean(axis=1, keepdims=True)
    centred /= np.sqrt((centred**2).sum(axis=1, keepdims=True)).clip(1e-300)
    found = np.argwhere(np.triu(np.abs(centred @ centred.T) > 0.9, k=1))
    known = list(columns)
    return [(known[first], known[second]) for first, second in found]


def _as_many_values(train: pa.RecordBatch, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of categories with equally many values; identifiers are told of anyway."""
    codes = {name: Codes.of(train.column(name)) for name in names}
    known = [name for name in names if 1 < codes[name].distinct < UNIQUE * codes[name].present]
    return [
        (first, second)
        for at, second in enumerate(known)
        for first in known[:at]
        if codes[first].distinct == codes[second].distinct
    ]


def _same(first: pa.Array, second: pa.Array, *, as_categories: bool = False) -> str | None:
    """Say how two columns say the same, or return None."""
    one, other = numbers(first), numbers(second)
    if one is None or other is None or as_categories:
        left, right = Codes.of(first), Codes.of(second)
        both = (left.codes >= 0) & (right.codes >= 0)
        if both.sum() < max(FEW_ROWS, 0.9 * max(left.present, right.present)):
            return None
        pairs = np.unique(np.stack([left.codes[both], right.codes[both]]), axis=1)
        different = {len(np.unique(pairs[0])), len(np.unique(pairs[1])), pairs.shape[1]}
        return f"{pairs.shape[1]:,} values, one to one" if len(different) == 1 and pairs.shape[1] > 1 else None
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < max(FEW_ROWS, 0.9 * np.isfinite(one).sum(), 0.9 * np.isfinite(other).sum()):
        return None
    one, other = one[both], other[both]
    # by value and by rank: a few extreme rows alone must not make two columns alike
    correlation = _correlation(one, other)
    if correlation >= COPY:
        correlation = min(correlation, _correlation(single_feature.ranks(one), single_feature.ranks(other)))
    return f"correlation {correlation:.4f}" if correlation >= COPY else None


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    one, other = one - one.mean(), other - other.mean()
    spread = np.sqrt((one**2).sum() * (other**2).sum())
    return float(abs((one * other).sum()) / spread) if spread else 0.0


def _empty(rows: Rows) -> Iterator[Finding]:
    """Features with one value, or nearly none."""
    for name in rows.features:
        codes = Codes.of(rows.train.column(name))
        total = rows.train.num_rows
        where = f"data.features.{name}"
        out = f"Take {name} out of data.features."
        if not codes.present:
            yield Finding("suspect", name, where, f"missing in all {total:,} rows for training", out)
        elif codes.distinct == 1:
            seen = f"one value in all of {codes.present:,} rows"
            if codes.present == total:
                yield Finding("suspect", name, where, f"constant: {seen}", out)
            else:
                yield Finding("note", name, where, f"{seen}, missing in the others: only that tells", out)
        elif total - codes.present > MOSTLY_MISSING * total:
            share = 1 - codes.present / total
            remedy = "Keep it if that it is missing tells something, and say so with fill_missing; else take it out."
            yield Finding("note", name, where, f"missing in {share:.0%} of {total:,} rows", remedy)


def _overlap(rows: Rows) -> Iterator[Finding]:
    """Rows for evaluation that were trained on."""
    shared = overlap(rows.splits, rows.features, rows.label)
    remedy = "Drop them (cleaning: - drop_duplicates), or keep equal rows in one split: data.split: {{by: hash{}}}."
    if shared.equal:
        seen = f"{shared.equal:,} of {shared.total:,} eval rows ({shared.equal / shared.total:.1%}) equal a train row"
        yield Finding("suspect", "train and eval", "data.split", seen, remedy.format(""))
    elif shared.equal_features:
        share = shared.equal_features / shared.total
        seen = (
            f"{shared.equal_features:,} of {shared.total:,} eval rows ({share:.1%}) have all features of a train row, "
            f"{shared.same_label:,} of them its label too"
        )
        columns = f", columns: [{', '.join(list(rows.features)[:3])}{', …' if len(rows.features) > 3 else ''}]"
        level: Literal["suspect", "note"] = "suspect" if share >= OVERLAP else "note"
        yield Finding(level, "train and eval", "data.split", seen, remedy.format(columns))


def _classes(rows: Rows) -> Iterator[Finding]:
    """Classes that are too small, or that training never sees."""
    if rows.task == "regression":
        return
    counts = {}
    for split, label in rows.label.items():
        counted = pc.value_counts(label.drop_null())
        counts[split] = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
    for value in sorted({*counts["train"], *counts["eval"]}, key=str):
        train, other = counts["train"].get(value, 0), counts["eval"].get(value, 0)
        if train < SMALL_CLASS or not other:
            yield Finding(
                "suspect",
                f"{rows.label_name} = {class_name(value)}",
                "data.label",
                f"{train:,} rows for training and {other:,} for evaluation",
                f"Give more rows (at least {SMALL_CLASS} of each class), or drop or merge the class.",
            )


def class_name(value: bytes | float) -> str:
    """Return how a value of the label is shown.

    Example:
        >>> class_name(b"Adelie"), class_name(1.0)
        ('Adelie', '1')
    """
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else f"{value:g}"
