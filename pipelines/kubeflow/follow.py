"""Follows a run to its end, through whatever happens to the connection meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from components.errors import ComponentError
from pipelines.kubeflow import runs
from pipelines.kubeflow.client import KubeflowClient
from pipelines.kubeflow.refusals import ApiError
from pipelines.kubeflow.tasks import ENDED, node_states, update
from pipelines.runners.runner import NodeResult, Watcher


def follow(
    client: KubeflowClient,
    run_id: str,
    names: Mapping[str, str],
    results: Mapping[str, NodeResult],
    watcher: Watcher,
) -> dict[str, Any]:
    """Look at a run until it has ended; return it as the server then sees it.

    Args:
        client: the connection.
        run_id: the run.
        names: task name to node name.
        results: one per node, by name; kept true.
        watcher: is told of every change.

    Raises:
        ComponentError: the server has not answered for too long, or answers no more; the run goes on.
    """
    last_answer = time.monotonic()
    watcher.changed([*results.values()])
    while True:
        try:
            run = runs.look(client, run_id)
        except ApiError as error:
            silent = time.monotonic() - last_answer
            if not error.transient or silent > client.settings.patience_seconds:
                raise _lost(client, run_id, error) from error
            _say(results, watcher, f"no answer from the server for {silent:.0f} s")
            client.sleep(client.settings.poll_seconds)
            continue
        last_answer = time.monotonic()
        if update(results, node_states(run, names)):
            watcher.changed([*results.values()])
        if run.get("state") in ENDED:
            _settle(results, str(run["state"]))
            watcher.changed([*results.values()])
            return run
        client.sleep(client.settings.poll_seconds)


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
