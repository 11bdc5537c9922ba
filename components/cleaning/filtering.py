"""The leaf that both engines call: one batch of serialized records through the row filters of the spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from components.cleaning.columns import kind_of
from components.cleaning.step import CleaningStep, GroupStep, Learned, LearningStep, Summary
from components.config import Plugin
from components.engine.examples import decode_examples
from components.errors import ComponentError


def describe(step: Plugin) -> str:
    """Return a step as it stands in a spec, in one line.

    Example:
        >>> from components.cleaning.steps.drop_missing import DropMissing
        >>> describe(DropMissing(columns=("fare", "tips")))
        'drop_missing: [fare, tips]'
    """
    ((name, parameters),) = step.model_dump(mode="json", exclude_defaults=True).items()
    if not parameters:
        return name
    if step.shorthand and set(parameters) == {step.shorthand}:
        return f"{name}: {_written(parameters[step.shorthand])}"
    return f"{name}: {_written(parameters)}"


@dataclass
class Batch:
    """Rows on their way through the steps.

    Args:
        records: the serialized tf.Examples, or the rows' numbers.
        columns: the decoded columns that some step needs, row by row with `records`.
    """

    records: pa.BinaryArray | pa.Int64Array
    columns: pa.RecordBatch

    @classmethod
    def of(cls, records: pa.BinaryArray, steps: Sequence[CleaningStep]) -> Batch:
        """Decode what the steps need, and no more."""
        return cls(records, decode_examples(records, needed_columns(steps)))

    @classmethod
    def numbered(cls, records: pa.BinaryArray, steps: Sequence[CleaningStep]) -> Batch:
        """Do the same, with the rows' numbers in place of the records: steps that filter need not copy their bytes."""
        return cls(pa.array(np.arange(len(records))), cls.of(records, steps).columns)

    def filter(self, mask: pa.BooleanArray) -> Batch:
        """Return the rows where `mask` is true; a record's bytes are not touched."""
        return Batch(self.records.filter(mask), self.columns.filter(mask))

    def __len__(self) -> int:
        return len(self.records)


@dataclass
class Dropped:
    """How many rows of one split came in and went out, and what each step dropped."""

    steps: int
    rows_in: int = 0
    by_step: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by_step = self.by_step or [0] * self.steps

    @property
    def rows_out(self) -> int:
        """Rows that no step dropped."""
        return self.rows_in - sum(self.by_step)


def needed_columns(steps: Sequence[CleaningStep]) -> list[str] | None:
    """Return the columns that any of the steps looks at, sorted; None when one looks at all of them."""
    needed = [step.needed_columns() for step in steps]
    return None if not all(needed) else sorted({name for names in needed for name in names})


def apply_step(step: CleaningStep, position: int, batch: Batch) -> Batch:
    """Return the rows that a row filter keeps.

    Raises:
        ComponentError: a column is of a kind that the step cannot look at.
    """
    check_kinds(step, position, batch.columns)
    return batch.filter(step.keep(batch.columns))


def summarize(step: LearningStep, position: int, batch: Batch) -> Summary:
    """Return what a step wants to know of some rows for training; see `apply_step` for what it raises."""
    check_kinds(step, position, batch.columns)
    return step.summarize(batch.columns)


def apply_learned(step: LearningStep, learned: Learned, batch: Batch) -> Batch:
    """Return the rows for training that a step keeps by what it learned."""
    return batch.filter(step.keep_by(learned, batch.columns))


def check_learned(steps: Sequence[CleaningStep], learned: Mapping[int, Learned]) -> None:
    """Raise a ComponentError when a step had nothing to learn from."""
    for position, limits in learned.items():
        step = steps[position]
        for name in step.needed_columns():
            if name not in limits:
                raise ComponentError(
                    f"{step.plugin_name()} learns from column {name!r}, which has no value in any train row that "
                    "reaches the step.",
                    spec_path=f"cleaning[{position}]",
                    remedy="Take the column out of the step, or loosen the steps before it.",
                )


def group_keys(step: GroupStep, position: int, batch: Batch) -> pa.BinaryArray:
    """Return each row's group; see `apply_step` for what it raises."""
    check_kinds(step, position, batch.columns)
    return step.key(batch.columns)


def check_kinds(step: CleaningStep, position: int, columns: pa.RecordBatch) -> None:
    """Raise a ComponentError when a column is of a kind that the step cannot look at."""
    for name in step.needed_columns():
        kind = kind_of(columns.schema.field(name).type)
        if kind is not None and kind not in step.accepts():
            raise ComponentError(
                f"{step.plugin_name()} looks at columns of {' or '.join(sorted(step.accepts()))}; "
                f"column {name!r} holds {'several values in a row' if kind == 'list' else f'a {kind}'}.",
                spec_path=f"cleaning[{position}]",
                remedy=_KIND_REMEDY.get(kind, "Name another column, or take the step out."),
            )


_KIND_REMEDY = {
    "text": "Name a column of numbers, or see in the raw data why this one is not: one bad cell makes a column text.",
    "number": "Write the values as numbers, without quotes, or name a column of text.",
}


def check_split(steps: Sequence[CleaningStep], split: str, dropped: Dropped) -> None:
    """Raise a ComponentError when steps dropped every row of a split, naming the step that took the most."""
    if dropped.rows_out or not dropped.rows_in:
        return
    worst = max(range(len(steps)), key=lambda index: dropped.by_step[index])
    counts = ", ".join(f"{describe(step)} {count:,}" for step, count in zip(steps, dropped.by_step, strict=True))
    raise ComponentError(
        f"cleaning dropped all {dropped.rows_in:,} rows of split {split!r}; most by "
        f"'{describe(steps[worst])}' ({dropped.by_step[worst]:,}). Dropped by each step: {counts}.",
        spec_path=f"cleaning[{worst}]",
        remedy="Loosen that step or take it out; see the column's values with a run that has no cleaning.",
    )


def _written(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
