"""Follows a run to its end, through whatever happens to the connection meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from components.errors import ComponentError
from pipelines.kubeflow import runs
from pipelines.kubeflow.client import KubeflowClient
from pipelines.kubeflow.refusals import ApiError
from pipelines.kubeflow.tasks import ENDED, TaskState, node_states, update
from pipelines.runners.runner import NodeResult, Watcher

LOG_LINES = 40


def follow(
    client: KubeflowClient,
    run_id: str,
    names: Mapping[str, str],
    results: Mapping[str, NodeResult],
    watcher: Watcher,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Look at a run until it has ended; return it as the server then sees it.

    Args:
        client: the connection.
        run_id: the run.
        names: task name to node name.
        results: one per node, by name; kept true.
        watcher: is told of every change.
        clock: seconds; for tests.

    Raises:
        ComponentError: the server has not answered for too long, or answers no more; the run goes on.
    """
    last_answer = clock()
    watcher.changed([*results.values()])
    while True:
        try:
            run = runs.look(client, run_id)
        except ApiError as error:
            silent = clock() - last_answer
            if not error.transient or silent > client.settings.patience_seconds:
                raise _lost(client, run_id, error) from error
            _say(results, watcher, f"no answer from the server for {silent:.0f} s")
            client.sleep(client.settings.poll_seconds)
            continue
        last_answer = clock()
        if update(results, node_states(run, names)):
            watcher.changed([*results.values()])
        if run.get("state") in ENDED:
            _settle(results, str(run["state"]))
            watcher.changed([*results.values()])
            return run
        client.sleep(client.settings.poll_seconds)


def failure_of(client: KubeflowClient, run: Mapping[str, Any], names: Mapping[str, str]) -> tuple[str | None, str, str]:
    """Return the name of the component that failed, the cause, and the end of its log.

    Args:
        client: the connection.
        run: the ended run as the server sees it.
        names: task name to node name.
    """
    for node, state in node_states(run, names).items():
        if state.status == "failed":
            log = _log(client, str(run.get("run_id")), state)
            cause = state.error or _last_line(log) or _run_error(run) or "The server gives no reason."
            return node, cause, log
    ended = {"CANCELED": "The run was ended by somebody.", "SKIPPED": "The server skipped the run."}
    return None, _run_error(run) or ended.get(str(run.get("state")), "The server gives no reason."), ""


def _lost(client: KubeflowClient, run_id: str, error: ApiError) -> ComponentError:
    return ComponentError(
        f"Run {run_id} was lost from sight: {error.problem.received}.",
        remedy=f"It goes on without being watched. Follow it with --attach {run_id}, or see "
        f"{client.settings.run_url(run_id)}. {error.problem.remedy}",
    )


def _settle(results: Mapping[str, NodeResult], state: str) -> None:
    """Give what the server no longer tells of an end, since the run has one."""
    for result in results.values():
        if result.status in {"waiting", "running"}:
            result.status = "failed" if result.status == "running" and state == "FAILED" else "skipped"
            result.why = f"the run ended: {state.lower()}" if result.status == "skipped" else ""


def _say(results: Mapping[str, NodeResult], watcher: Watcher, text: str) -> None:
    running = next((result for result in results.values() if result.status == "running"), None)
    if running:
        watcher.progress(running.name, text, None, None)


def _log(client: KubeflowClient, run_id: str, state: TaskState) -> str:
    """Return the end of a failed task's log, or nothing: the pod may be gone, and the server may not serve logs."""
    for pod in state.pods:
        for version in ("v2beta1", "v1alpha1"):
            try:
                text = client.text(f"/apis/{version}/runs/{run_id}/nodes/{pod}/log")
            except ApiError:
                continue
            if text.strip():
                return "\n".join(text.splitlines()[-LOG_LINES:])
    return ""


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:1000] if lines else ""


def _run_error(run: Mapping[str, Any]) -> str:
    errors = [run.get("error"), *(status.get("error") for status in reversed(run.get("state_history") or []))]
    return next((str(error["message"]) for error in errors if error and error.get("message")), "")
