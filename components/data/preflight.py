"""The raw data against the spec, before the first component runs. Imports nothing heavy until it is asked to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from components.catalog import nearest
from components.data.config import DataConfig
from components.data.source import SourceFile, list_files
from components.errors import Problem, SpecError
from components.features import Task

if TYPE_CHECKING:
    from components.cleaning.config import CleaningConfig


@dataclass(frozen=True)
class Preflight:
    """What a look at the raw data found.

    Args:
        rows: rows seen; all of them when `complete`.
        bytes: size of all files.
        columns: name and type (`int64`, `float32`, `bytes`, `null`) of each column.
        problems: what would make the run fail or, worse, pass with wrong numbers; `where` is a path in the spec.
        complete: False when the data are so large or so far away that only a part was looked at.
    """

    rows: int
    bytes: int
    columns: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = True


def check(
    data: DataConfig,
    data_path: str,
    cleaning: CleaningConfig,
    chains: Mapping[str, Sequence[Any]],
    slices: Sequence[Sequence[str]],
    task: Task | None = None,
) -> Preflight:
    """Look at the raw data for everything that is certain to go wrong.

    Args:
        data: section `data`.
        data_path: `data.path`, resolved.
        cleaning: section `cleaning`; rows that it drops may lack a label.
        chains: the chains of `transform`; some name columns themselves.
        slices: the slices of `evaluation`.
        task: what the label must be good for; None leaves that out.
    """
    from components.data.raw_check import RawCheck

    files: list[SourceFile] = []
    try:
        files = list_files(data_path, data.format, data.selection)
        raw = RawCheck(data, cleaning, files, task)
        problems = [*missing_columns(data, cleaning, chains, slices, raw.names), *raw.run()]
    except SpecError as error:
        return Preflight(0, sum(file.bytes for file in files), problems=list(error.problems))
    return Preflight(raw.rows, sum(file.bytes for file in files), raw.columns, problems, raw.complete)


def missing_columns(
    data: DataConfig,
    cleaning: CleaningConfig,
    chains: Mapping[str, Sequence[Any]],
    slices: Sequence[Sequence[str]],
    known: Sequence[str],
) -> list[Problem]:
    """Return one problem for each place in the spec that names a column the data do not have."""
    named: list[tuple[str, str]] = [(f"data.features.{name}", name) for name in data.features]
    named += [("data.label", name) for name in data.label.columns]
    named += [("data.weight", data.weight)] if data.weight else []
    named += [("data.split.columns", name) for name in data.split.columns]
    named += [(f"cleaning.{at}", name) for at, step in enumerate(cleaning.steps) for name in step.needed_columns()]
    named += [(f"evaluation.slices.{at}", name) for at, group in enumerate(slices) for name in group]
    named += [
        (f"transform.{name}", column)
        for name, chain in chains.items()
        if chain
        for column in getattr(chain[0], "source_columns", tuple)()
        if column not in data.features
    ]
    return [_missing(where, name, known) for where, name in dict.fromkeys(named) if name not in known]


def _missing(where: str, name: str, known: Sequence[str]) -> Problem:
    guess = nearest(name, list(known))
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    remedy = f"Did you mean {guess!r}?" if guess else "Correct the name, or remove it."
    return Problem(where, f"column {name!r}, which the data do not have", f"one of {shown}", remedy)
