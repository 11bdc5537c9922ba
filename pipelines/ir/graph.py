"""What a compiled pipeline is made of before it is written as IR: tasks, groups, and where inputs come from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Constant:
    """A value that is known when the pipeline is compiled."""

    value: Any


@dataclass(frozen=True)
class FromPipeline:
    """A parameter of the run."""

    name: str


@dataclass(frozen=True)
class FromTask:
    """An output of another task."""

    task: str
    key: str


Source = Constant | FromPipeline | FromTask


@dataclass(frozen=True)
class Task:
    """One container of the compiled pipeline.

    Args:
        name: in the compiled pipeline, `example-gen`; Argo allows letters, digits and dashes only.
        node: what runs in it: a component of the DAG, or `Resolve`, `Report`, `Notify`.
        arguments: what its command line says beside the node.
        parameters: name to where the value comes from; all strings but those named in `INTEGERS`.
        artifacts: name to the output that feeds it.
        outputs: artifact name to KFP's type.
        output_parameters: names of the strings it returns.
        after: tasks that must have ended before.
        cached: False when it must run every time.
        final_status: name of the group whose end it is told of, good or bad; makes it an exit handler.
    """

    name: str
    node: str
    arguments: tuple[str, ...] = ()
    parameters: Mapping[str, Source] = field(default_factory=dict)
    artifacts: Mapping[str, FromTask] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    output_parameters: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    cached: bool = True
    final_status: str | None = None


@dataclass(frozen=True)
class Group:
    """Tasks that run together or not at all: KFP's condition, or the scope of an exit handler.

    Args:
        name: of the group.
        tasks: what is in it.
        only_if: the output parameter that must be "true".
    """

    name: str
    tasks: tuple[Task | Group, ...]
    only_if: FromTask | None = None


INTEGERS = frozenset({"epochs"})
"""Parameters that are whole numbers."""


def flat(members: Iterable[Task | Group]) -> list[Task]:
    """Return the tasks of all groups, in order."""
    found: list[Task] = []
    for member in members:
        found += flat(member.tasks) if isinstance(member, Group) else [member]
    return found


def constant_json(value: Any) -> Constant:
    r"""Return a value as JSON in which nothing looks like a placeholder.

    Argo evaluates `{{…}}`, KFP's launcher replaces `{{$…}}`, and Kubernetes expands `$(NAME)`, wherever they stand. All
    of them can stand only inside JSON strings, where escapes mean the same characters.

    Example:
        >>> constant_json({"path": "rows/{{date}}/$(HOME)"}).value
        '{"path": "rows/{\\u007bdate}}/\\u0024(HOME)"}'
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return Constant(re.sub(r"(?<=\{)\{", r"\\u007b", text).replace("$", "\\u0024"))
