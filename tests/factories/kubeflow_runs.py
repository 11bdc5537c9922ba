"""Runs of a Kubeflow server that are not run: their tasks take their turns, one step at every look."""

from __future__ import annotations

import graphlib
import itertools
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

JSON = dict[str, Any]
NEVER = "1970-01-01T00:00:00Z"
_ARGO_STATE = {"CACHED": "SUCCEEDED"}


class SimulatedRun:
    """One run: every task has a driver, then itself, then its end; all tasks in the order of the IR.

    Args:
        record: the run as the server answers it.
        ends: task name to its state at the end, `SUCCEEDED` when not named.
        errors: task name to the message of its failure.
        logs: pod name to its log; the pod of a task's executor is `pod-TASK`.
        at_end: is called when all went well, as the report step would be.
        show_pods: whether tasks tell their own pods, which servers up to 2.17 do not.
        pace: how many things happen between two looks.
    """

    def __init__(
        self,
        record: JSON,
        *,
        ends: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        logs: Mapping[str, str] | None = None,
        at_end: Callable[[JSON], None] | None = None,
        show_pods: bool = True,
        pace: int = 1,
    ) -> None:
        self.record = record
        self.ends = dict(ends or {})
        self.errors = dict(errors or {})
        self.logs = dict(logs or {})
        self.at_end = at_end
        self.show_pods = show_pods
        self.pace = pace
        self.tasks: dict[str, JSON] = {}
        self.ticks = itertools.count()

    def begin(self, spec: JSON) -> None:
        """Learn the tasks from the IR."""
        self.tasks = {name: {"stage": "none"} for name in _names(spec, spec["root"]["dag"])}

    def advance(self) -> None:
        """Let time pass."""
        for _ in range(self.pace):
            self._happen()

    def _happen(self) -> None:
        if self.record["state"] in {"SUCCEEDED", "FAILED", "CANCELED"}:
            return
        if self.record["state"] == "CANCELING":
            self._end("CANCELED")
            return
        if next(self.ticks) == 0:
            self.record["state"] = "RUNNING"
            return
        for name, task in self.tasks.items():
            if task["stage"] == "ended":
                continue
            self._step(name, task)
            return
        self._end("SUCCEEDED")

    def cancel(self) -> None:
        """Begin to end, as terminate does."""
        self.record["state"] = "CANCELING"

    def head(self) -> JSON:
        """Return the run as a list shows it."""
        return dict(self.record)

    def whole(self) -> JSON:
        """Return the run with Argo's nodes, as KFP up to 2.17 does."""
        details = [self._node("root-driver", "SUCCEEDED", NEVER), self._node("root", self.record["state"], NEVER)]
        for name, task in self.tasks.items():
            details += self._argo_nodes(name, task)
        return {**self.record, "run_details": {"task_details": details}}

    def whole_in_tasks(self, full: bool) -> JSON:
        """Return the run with KFP's own tasks, which later servers show when asked for the whole view."""
        seen = {name: task for name, task in self.tasks.items() if task["stage"] != "none"}
        answer = {**self.record, "task_count": len(seen)}
        if full:
            answer["tasks"] = [self._own_task(name, task) for name, task in seen.items()]
        return answer

    def _step(self, name: str, task: JSON) -> None:
        end = self.ends.get(name, "SUCCEEDED")
        match task["stage"]:
            case "none":
                task.update(stage="driver", start=_now())
            case "driver" if end in {"SKIPPED", "CACHED"}:
                task.update(stage="ended", end=_now(), state=end)
            case "driver":
                task.update(stage="pending")
            case "pending":
                task.update(stage="running")
            case "running":
                task.update(stage="ended", end=_now(), state=end)
                if end == "FAILED":
                    self._end("FAILED")

    def _end(self, state: str) -> None:
        self.record.update(state=state, finished_at=_now())
        if state == "SUCCEEDED" and self.at_end:
            self.at_end(self.record)

    def _argo_nodes(self, name: str, task: JSON) -> list[JSON]:
        if task["stage"] == "none":
            return []
        driver = self._node(f"{name}-driver", "RUNNING" if task["stage"] == "driver" else "SUCCEEDED", task["start"])
        if task["stage"] == "driver":
            return [driver]
        state = task.get("state", "RUNNING")
        own = self._node(name, _ARGO_STATE.get(state, state), task["start"], task.get("end", NEVER))
        if state == "SKIPPED":
            return [driver, own]
        pod = f"pod-{name}"
        own["child_tasks"] = [{"pod_name": pod}]
        inner = "PENDING" if task["stage"] == "pending" else "SKIPPED" if state == "CACHED" else state
        executor = self._node("executor", inner, task["start"], task.get("end", NEVER))
        if self.show_pods:
            executor["pod_name"] = pod
        if name in self.errors and state == "FAILED":
            executor["error"] = {"code": 2, "message": self.errors[name]}
        return [driver, own, executor]

    def _own_task(self, name: str, task: JSON) -> JSON:
        own = {
            "run_id": self.record["run_id"],
            "name": name,
            "display_name": name,
            "state": task.get("state", "RUNNING"),
            "start_time": task["start"],
        }
        if "end" in task:
            own["end_time"] = task["end"]
        if name in self.errors and task.get("state") == "FAILED":
            own["status_metadata"] = {"message": self.errors[name]}
        return own

    def _node(self, name: str, state: str, start: str, end: str = NEVER) -> JSON:
        return {
            "run_id": self.record["run_id"],
            "task_id": f"id-of-{name}",
            "display_name": name,
            "create_time": self.record["created_at"],
            "start_time": start,
            "end_time": end,
            "state": state,
        }


def _names(spec: JSON, dag: JSON) -> list[str]:
    """Return the tasks in an order in which they can run, groups opened."""
    found: list[str] = []
    for name, task in _in_order(dag["tasks"]):
        component = spec["components"][task["componentRef"]["name"]]
        found += _names(spec, component["dag"]) if "dag" in component else [name]
    return found


def _in_order(tasks: JSON) -> list[tuple[str, JSON]]:
    graph = {}
    for name, task in tasks.items():
        inputs = task.get("inputs", {})
        sources = [*inputs.get("parameters", {}).values(), *inputs.get("artifacts", {}).values()]
        produced = [
            source[kind]["producerTask"] for source in sources for kind in source if kind.startswith("taskOutput")
        ]
        graph[name] = {*task.get("dependentTasks", []), *produced}
    return [(name, tasks[name]) for name in graphlib.TopologicalSorter(graph).static_order()]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
