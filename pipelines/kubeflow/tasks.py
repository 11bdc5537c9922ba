"""The tasks of a run as the server tells them, turned into what every runner reports.

Servers up to KFP 2.17 report Argo's nodes: `trainer-driver`, `trainer`, and below it `executor`, which Argo skips when
the result is cached. Later ones report KFP's own tasks with states of their own, `CACHED` among them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.runners.runner import NodeResult

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
"""States in which a run stays."""

_STATUS = {
    "PENDING": "waiting",
    "RUNNING": "running",
    "PAUSED": "running",
    "CANCELING": "running",
    "SUCCEEDED": "done",
    "CACHED": "cached",
    "SKIPPED": "skipped",
    "OMITTED": "skipped",
    "CANCELED": "skipped",
    "FAILED": "failed",
    "ERROR": "failed",
}


@dataclass(frozen=True)
class TaskState:
    """One task of the pipeline as it is now.

    Args:
        status: as in `NodeResult`.
        seconds: that it has taken.
        error: what the server knows of its failure.
        pods: names under which its log may be found.
        waits_for_machine: its pod exists and has no node to run on, or the image is being pulled.
    """

    status: str
    seconds: float = 0.0
    error: str = ""
    pods: tuple[str, ...] = ()
    waits_for_machine: bool = False


def pipeline_tasks(pipeline_spec: Mapping[str, Any]) -> dict[str, str]:
    """Return task name to node name, in the order of the IR, groups opened.

    Args:
        pipeline_spec: JSON of the IR.
    """
    components = pipeline_spec.get("components", {})
    executors = pipeline_spec.get("deploymentSpec", {}).get("executors", {})
    found: dict[str, str] = {}

    def walk(dag: Mapping[str, Any]) -> None:
        for name, task in dag.get("tasks", {}).items():
            component = components.get(task["componentRef"]["name"], {})
            if "dag" in component:
                walk(component["dag"])
            else:
                container = executors.get(component.get("executorLabel"), {}).get("container", {})
                found[name] = _node(name, container.get("args", []))

    walk(pipeline_spec["root"]["dag"])
    return found


def node_states(run: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, TaskState]:
    """Return the state of every node, once one of its tasks has begun.

    Several tasks may stand for one node, such as a report of what was pushed and one of what was blocked; of these one
    runs and the others are skipped.

    Args:
        run: the server's answer.
        names: task name to node name.
    """
    tasks = _task_states(run, names)
    states: dict[str, TaskState] = {}
    for node in dict.fromkeys(names.values()):
        own = [tasks.get(task, _NOT_BEGUN) for task, name in names.items() if name == node]
        first = min(own, key=lambda state: _TELLING.index(state.status))
        if first is not _NOT_BEGUN:
            states[node] = first
    return states


_NOT_BEGUN = TaskState("waiting")
_TELLING = ("failed", "done", "cached", "running", "waiting", "skipped")
"""Which of several states is the one to tell, first first."""


def _task_states(run: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, TaskState]:
    details = run.get("tasks") or (run.get("run_details") or {}).get("task_details") or []
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    by_pod: dict[str, Mapping[str, Any]] = {}
    for detail in details:
        by_name.setdefault(detail.get("name") or detail.get("display_name") or "", []).append(detail)
        if detail.get("pod_name"):
            by_pod[detail["pod_name"]] = detail
    states = {}
    for name in names:
        if own := by_name.get(name):
            states[name] = _state(own[-1], by_pod)
        elif driver := by_name.get(f"{name}-driver"):
            states[name] = _driver_state(driver[-1])
    return states


def update(results: Mapping[str, NodeResult], states: Mapping[str, TaskState]) -> bool:
    """Bring the results up to date; return whether anything a person sees has changed."""
    changed = False
    for node, state in states.items():
        result = results[node]
        before = (result.status, result.why)
        result.status = state.status
        result.seconds = round(state.seconds, 1)
        if state.status == "skipped":
            result.why = "its condition was false, or something before it did not succeed"
        elif state.status in {"waiting", "running"}:
            result.why = "waits for a machine" if state.waits_for_machine else ""
        changed = changed or before != (result.status, result.why)
    return changed


def _state(detail: Mapping[str, Any], by_pod: Mapping[str, Mapping[str, Any]]) -> TaskState:
    pods = tuple(child["pod_name"] for child in detail.get("child_tasks") or [] if child.get("pod_name"))
    children = [by_pod[pod] for pod in pods if pod in by_pod]
    status = _STATUS.get(str(detail.get("state")).upper(), "waiting")
    executors = [child for child in children if str(child.get("display_name")).startswith("executor")]
    if status == "done" and executors and all(child.get("state") == "SKIPPED" for child in executors):
        status = "cached"
    waits = status == "running" and any(child.get("state") == "PENDING" for child in executors)
    error = _error(detail) or next((text for text in map(_error, children) if text), "")
    own = (detail["pod_name"],) if detail.get("pod_name") else ()
    return TaskState(status, _seconds(detail), error, (*pods, *own), waits)


def _driver_state(detail: Mapping[str, Any]) -> TaskState:
    """Read a task from its driver, which runs before it and decides what it gets."""
    status = _STATUS.get(str(detail.get("state")).upper(), "waiting")
    pods = (detail["pod_name"],) if detail.get("pod_name") else ()
    if status == "failed":
        return TaskState("failed", _seconds(detail), _error(detail), pods)
    return TaskState("running" if status in {"running", "done"} else status)


def run_seconds(run: Mapping[str, Any]) -> float:
    """Return how long a run has taken, from being asked for to its end; 0 while it goes on."""
    start, end = _time(run.get("created_at")), _time(run.get("finished_at"))
    return 0.0 if math.isnan(start) or math.isnan(end) else max(0.0, end - start)


def _error(detail: Mapping[str, Any]) -> str:
    message = (detail.get("error") or {}).get("message") or (detail.get("status_metadata") or {}).get("message")
    return str(message or "").strip()


def _seconds(detail: Mapping[str, Any]) -> float:
    start, end = _time(detail.get("start_time")), _time(detail.get("end_time"))
    return 0.0 if math.isnan(start) or math.isnan(end) else max(0.0, end - start)


def _time(text: Any) -> float:
    if not isinstance(text, str):
        return math.nan
    try:
        seconds = datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return math.nan
    # the server writes the beginning of 1970 for what has not happened yet
    return seconds if seconds > 0 else math.nan


def _node(task: str, args: list[str]) -> str:
    if "--node" in args[:-1]:
        return args[args.index("--node") + 1]
    return "".join(part.capitalize() for part in task.split("-"))
