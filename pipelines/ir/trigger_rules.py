"""Rules on when a task runs: conditions, exit handlers, and the cache that keeps it from running."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from components.errors import Problem
from pipelines.ir.document import Call, Document

EFFECTS = frozenset({"Resolve", "Decider", "Pusher", "Report", "Notify"})
"""Nodes that look at the world or change it, so an earlier run cannot stand in for them."""

OF_THE_RUN = re.compile(r"\{\{\$\.pipeline_(job|task)_\w+\}\}")

_COMPILER = "This is a fault of Sluice's compiler: please report it with the spec."
_READ = re.compile(r"inputs\.parameter_values\['([^']*)'\]")
_COMPARED_WITH_TEXT = re.compile(_READ.pattern + r"\s*[=!]=\s*'")
_TEXT = re.compile(r"'[^']*'")
_REST = re.compile(r"(?:[\s()!&|=<>.\d]|true|false|int\(|double\()*")


def conditions_read_only_own_inputs(document: Document) -> Iterator[Problem]:
    """The driver evaluates the condition over the inputs of the task itself, and fails the task when it cannot.

    A parameter of the pipeline, or another task's output, has to be an input to be seen. CEL does not compare a number
    with a text. An importer has no driver that could evaluate a condition, which the compiler refuses.
    """
    for call in document.calls():
        where = f"{call.where}.triggerPolicy.condition"
        if call.condition and "importer" in document.executors.get(call.component.get("executorLabel", ""), {}):
            yield Problem(where, "a condition on an importer", "none, or a group around it", _COMPILER)
        rest = _TEXT.sub("", _READ.sub("", call.condition))
        if not _REST.fullmatch(rest) or (call.condition and not _READ.search(call.condition)):
            expected = "inputs.parameter_values['NAME'], texts, numbers and operators"
            yield Problem(where, call.condition, expected, _COMPILER)
        for name in _READ.findall(call.condition):
            if name not in call.inputs("parameters"):
                known = ", ".join(call.inputs("parameters")) or "none"
                yield Problem(where, repr(name), f"a parameter that the task is given ({known})", _COMPILER)
        for name in _COMPARED_WITH_TEXT.findall(call.condition):
            kind = call.definitions("parameters").get(name, {}).get("parameterType", "STRING")
            if kind != "STRING":
                yield Problem(where, f"{name!r}, a {kind}, compared with a text", "a number", _COMPILER)


def exit_handlers_hang_on_one_task(document: Document) -> Iterator[Problem]:
    """The compiler makes every task with `ALL_UPSTREAM_TASKS_COMPLETED` an Argo exit hook of what it depends on.

    The hook runs once behind each of its dependencies, and whoever makes one of its inputs is a dependency too. A task
    has one hook: of two exit handlers on it, the alphabetically last one wins and the other never runs. Argo runs no
    hook behind a task that was skipped.
    """
    taken: dict[tuple[str, str], str] = {}
    for call in sorted(document.calls(), key=lambda call: call.name):
        if not call.is_exit:
            continue
        where = f"{call.where}.dependentTasks"
        before = sorted(call.before())
        if len(before) != 1 or any(True for _ in call.producers()):
            received = f"{', '.join(before) or 'nothing'}, with what its inputs need"
            yield Problem(where, received, "one task or group, and no input that a task makes", _COMPILER)
        for name in before:
            first = taken.setdefault((call.dag.where, name), call.name)
            watched = document.call(call.dag, name)
            if first != call.name:
                yield Problem(where, f"{name!r}, which {first!r} watches already", "one exit handler on it", _COMPILER)
            if watched and watched.condition:
                expected = "something that always runs, since nothing runs behind what is skipped"
                yield Problem(where, f"{name!r}, which has a condition", expected, _COMPILER)


def final_statuses_are_of_what_is_waited_for(document: Document) -> Iterator[Problem]:
    """The driver takes the status of the first dependency, whatever `producerTask` says, and fails without one."""
    for call in document.calls():
        for name, value in call.inputs("parameters").items():
            if "taskFinalStatus" not in value:
                continue
            where = f"{call.where}.inputs.parameters.{name}.taskFinalStatus"
            producer = value["taskFinalStatus"].get("producerTask")
            if not call.is_exit:
                yield Problem(where, "a task that is no exit handler", "an exit handler", _COMPILER)
            elif list(call.task.get("dependentTasks", ()))[:1] != [producer]:
                yield Problem(where, repr(producer), "the first of its dependentTasks", _COMPILER)


def what_has_an_effect_is_not_cached(document: Document) -> Iterator[Problem]:
    """A cached step does not run: a second run would push nothing, tell nobody, and look at yesterday's data.

    The key of the cache is the image, the command and the inputs; what lies behind a path is not part of it. An input
    that names the run is, so with one the entry is written and never found again.
    """
    for call in document.calls():
        if not call.task.get("cachingOptions", {}).get("enableCache"):
            continue
        where = f"{call.where}.cachingOptions"
        if (node := _node(document, call)) in EFFECTS:
            yield Problem(where, f"caching of {node}", "none: it has an effect outside of its outputs", _COMPILER)
        for name, value in call.inputs("parameters").items():
            constant = value.get("runtimeValue", {}).get("constant")
            if isinstance(constant, str) and OF_THE_RUN.search(constant):
                yield Problem(where, f"caching with {name} = {constant}", "no input that names the run", _COMPILER)


def _node(document: Document, call: Call) -> str | None:
    """Return the node that a task runs, as its command line says."""
    executor: Any = document.executors.get(call.component.get("executorLabel", ""), {})
    words = list(executor.get("container", {}).get("args", ()))
    return words[words.index("--node") + 1] if "--node" in words[:-1] else None
