"""What `balancing`, `training.class_weights` and `training.loss` may not ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.errors import Problem

if TYPE_CHECKING:
    from pipelines.spec import LoadedSpec

Found = tuple[tuple[str | int, ...], str, str, str]
"""Where in the spec, what was received, what was expected, what to do."""


def balancing_problems(loaded: LoadedSpec) -> Iterator[Problem]:
    """Resampling and weights are about classes, and steps that interpolate need numbers to do it with."""
    for place, received, expected, remedy in (*_task(loaded), *_classes(loaded), *_steps(loaded)):
        dotted = ".".join(map(str, place))
        yield Problem(dotted, received, expected, remedy, loaded.source.file, loaded.source.line(place))


def _task(loaded: LoadedSpec) -> Iterator[Found]:
    spec = loaded.spec
    if spec.task != "regression":
        return
    written = {
        ("balancing",): spec.balancing is not None,
        ("training", "class_weights"): spec.training.class_weights is not None,
        ("training", "loss"): spec.training.focal is not None,
    }
    for place, is_written in written.items():
        if is_written:
            name = place[-1] if place[-1] != "loss" else "the focal loss"
            yield place, f"{name} with task regression", "a task with classes: a number has none", "Remove it."


def _classes(loaded: LoadedSpec) -> Iterator[Found]:
    spec = loaded.spec
    weights, focal = spec.training.class_weights, spec.training.focal
    if spec.task == "binary_classification" and isinstance(weights, dict):
        for name in weights:
            if name not in {"0", "1"}:
                place = ("training", "class_weights")
                yield place, f"class {name!r}", "0 and 1, the classes of a binary task", "Write {0: 1, 1: 10}."
    if spec.task == "multiclass_classification" and focal is not None and focal.alpha is not None:
        at = ("training", "loss", "focal", "alpha")
        yield at, f"alpha {focal.alpha:g}", "no alpha with more than two classes", "Use training.class_weights."


def _steps(loaded: LoadedSpec) -> Iterator[Found]:
    spec = loaded.spec
    features = spec.data.features
    if spec.balancing is None or spec.transform.problems(features, spec.data.weight):
        return  # that a chain is wrong is another rule
    inputs = spec.transform.expected_inputs(features)
    is_long = isinstance(loaded.source.content.get("balancing"), dict)
    prefix: tuple[str, ...] = ("balancing", "steps") if is_long else ("balancing",)
    for at, step in enumerate(spec.balancing.steps):
        if refusal := step.refuses(inputs):
            yield (*prefix, at), *refusal
