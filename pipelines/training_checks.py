"""What section `training` may not ask for, with the task and the user's files at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from components.errors import Problem
from components.training.callback_config import check_callbacks_source
from components.training.combinations import refused
from components.training.loop_config import check_loop_source
from components.training.schedule_checks import is_schedule, schedule_problems

if TYPE_CHECKING:
    from pipelines.spec import LoadedSpec


def training_problems(loaded: LoadedSpec) -> Iterator[Problem]:
    """Options that do not go together, schedules, and the user's callbacks and training step."""
    training = loaded.spec.training
    for option, received, expected, remedy in refused(training, loaded.spec.task):
        yield _at(loaded, Problem(f"training.{option}", received, expected, remedy))
    if training.per_replica_batch_size is not None and "batch_size" in training.model_fields_set:
        expected = "one of them: the whole batch, or the batch of each copy"
        where = "training.per_replica_batch_size"
        yield _at(loaded, Problem(where, "it and batch_size", expected, "Remove one of them."))
    rate = training.optimizer.arguments.get("learning_rate")
    if is_schedule(rate):
        for problem in schedule_problems(rate, f"training.optimizer.{training.optimizer.name}.learning_rate"):
            yield _at(loaded, problem)
    if training.callbacks is not None:
        yield from _own_file(
            loaded, "callbacks", training.callbacks.module, partial(check_callbacks_source, training.callbacks)
        )
    if training.loop is not None:
        yield from _own_file(loaded, "loop", training.loop.module, partial(check_loop_source, training.loop))


def _own_file(loaded: LoadedSpec, option: str, file: str, check: Callable[[str], list[Problem]]) -> Iterator[Problem]:
    path, where = loaded.base_dir / file, f"training.{option}.module"
    if not path.is_file():
        received = f"{file!r}, which is not there"
        yield _at(loaded, Problem(where, received, f"a file, relative to {loaded.base_dir}", "Check it."))
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        yield _at(loaded, Problem(where, f"{file!r} ({error.reason})", "UTF-8 text", "Save it so."))
        return
    yield from check(text)


def _at(loaded: LoadedSpec, problem: Problem) -> Problem:
    """Return a problem with its line in the spec."""
    location = tuple(int(part) if part.isdigit() else part for part in problem.where.split("."))
    return replace(problem, file=loaded.source.file, line=loaded.source.line(location))
