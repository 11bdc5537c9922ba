"""What `transform` may not ask for: undeclared columns, steps that do not fit their column or the task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components import catalog
from components.errors import Problem
from components.features import FeatureKind
from components.transform.config import KINDS
from components.transform.step import source_of

if TYPE_CHECKING:
    from pipelines.spec import LoadedSpec

Found = tuple[tuple[str | int, ...], str, str, str]
"""Where in the spec, what was received, what was expected, what to do."""


def transform_problems(loaded: LoadedSpec) -> Iterator[Problem]:
    """Chains start from declared features, read declared features, and their steps fit."""
    data, transform = loaded.spec.data, loaded.spec.transform
    found = (
        *_sources(loaded),
        *_no_inputs(loaded),
        *_reads(loaded),
        *_tasks(loaded),
        *transform.problems(data.features, data.weight),
    )
    for where, received, expected, remedy in found:
        dotted = ".".join(map(str, where))
        yield Problem(dotted, received, expected, remedy, loaded.source.file, loaded.source.line(where))


def _sources(loaded: LoadedSpec) -> Iterator[Found]:
    """A chain starts from a feature of its name, or from a step that names its columns."""
    features = loaded.spec.data.features
    for name, chain in loaded.spec.transform.chains.items():
        first = source_of(chain)
        source = first.source_columns() if first else ()
        if name not in features and not source:
            guess = catalog.nearest(name, list(features))
            yield (
                ("transform", name),
                f"{name!r}, which data.features does not declare",
                "a declared feature, or a chain that starts with a step that names its columns (cross)",
                f"Did you mean {guess!r}?" if guess else f"Declare it: data.features.{name}: numeric or categorical.",
            )
        for column in (each for each in source if each not in features):
            expected = f"one of {', '.join(features)}"
            remedy = f"Declare it in data.features: {column}: categorical."
            yield ("transform", name), f"column {column!r}", expected, remedy


def _no_inputs(loaded: LoadedSpec) -> Iterator[Found]:
    """A feature that is no model input is one that some chain reads, else nothing would."""
    features, transform = loaded.spec.data.features, loaded.spec.transform
    read = {column for chain in transform.chains.values() for step in chain for column in step.all_read_columns()}
    for name in transform.no_inputs:
        if name not in features:
            guess = catalog.nearest(name, list(features))
            remedy = f"Did you mean {guess!r}?" if guess else "Remove the line."
            yield ("transform", name), f"null for {name!r}", f"one of {', '.join(features)}", remedy
        elif name not in read:
            expected = "a feature that the chain of another input reads"
            yield ("transform", name), "null, and no chain reads it", expected, f"Remove data.features.{name}."
    if not transform.chains:
        yield ("transform",), "no model input at all", "one chain at least", "Give a feature a chain."


def _reads(loaded: LoadedSpec) -> Iterator[Found]:
    """What a step looks at besides its own column is a feature, so that a request has it too."""
    features = loaded.spec.data.features
    for name, chain in loaded.spec.transform.chains.items():
        for index, step in enumerate(chain):
            for column in (each for each in step.read_columns() if each not in features):
                guess = catalog.nearest(column, list(features))
                received = f"{step.plugin_name()} that reads {column!r}, which data.features does not declare"
                kinds = " or ".join(each.value for each in FeatureKind if KINDS.get(each) in step.read_kinds)
                remedy = f"Did you mean {guess!r}?" if guess else f"Declare it: data.features.{column}: {kinds}."
                yield ("transform", name, index), received, f"one of {', '.join(features)}", remedy


def _tasks(loaded: LoadedSpec) -> Iterator[Found]:
    """Steps that learn from the label need one that they can learn from."""
    task = loaded.spec.task
    for name, chain in loaded.spec.transform.chains.items():
        for index, step in enumerate(chain):
            if refusal := step.refuses_task(task):
                yield ("transform", name, index), f"{step.plugin_name()} in a spec with task: {task}", *refusal
