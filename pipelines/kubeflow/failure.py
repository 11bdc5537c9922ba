"""Why a run failed: what the step itself said in its log, else what the server knows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.kubeflow.client import KubeflowClient
from pipelines.kubeflow.refusals import ApiError
from pipelines.kubeflow.tasks import TaskState, node_states

LOG_LINES = 200
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit)\b")
_ENDS = {"CANCELED": "The run was ended by somebody.", "SKIPPED": "The server skipped the run."}
_TEMPLATES = ("system-container-impl", "retry-system-container-impl")
"""Of KFP, for the pod of a step."""
_UNKNOWN = "The server gives no reason."


@dataclass(frozen=True)
class Failure:
    """Why a run failed.

    Args:
        component: that failed; `Run` when none did.
        message: the cause.
        remedy: what to do, when the step knew it.
        spec_path: part of the spec that it comes from, when the step knew it.
        log: the end of the failed task's log, when the server still had it.
        told: whether the step itself told the cause.
    """

    component: str
    message: str
    remedy: str = ""
    spec_path: str | None = None
    log: str = ""
    told: bool = False


def failure_of(client: KubeflowClient, run: Mapping[str, Any], names: Mapping[str, str]) -> Failure:
    """Return why an ended run failed.

    Args:
        client: the connection.
        run: the run as the server sees it.
        names: task name to node name.
    """
    for node, state in node_states(run, names).items():
        if state.status == "failed":
            log = _log(client, str(run.get("run_id")), state)
            if said := _said(log):
                return Failure(node, said["message"], said["remedy"], said["spec_path"], log, told=True)
            cause = state.error or _exception(log) or _run_error(run) or _UNKNOWN
            return Failure(node, cause, log=log)
    return Failure("Run", _run_error(run) or _ENDS.get(str(run.get("state")), _UNKNOWN))


def _log(client: KubeflowClient, run_id: str, state: TaskState) -> str:
    """Return the end of a failed task's log, or nothing: the pod may be gone, and the server may not serve logs."""
    for pod in (name for node in state.pods for name in _pod_names(node)):
        for version in ("v2beta1", "v1alpha1"):
            try:
                text = client.text(f"/apis/{version}/runs/{run_id}/nodes/{pod}/log")
            except ApiError:
                continue
            if text.strip():
                return "\n".join(text.splitlines()[-LOG_LINES:])
    return ""


def _pod_names(node: str) -> tuple[str, ...]:
    """Return what the pod of one of Argo's nodes may be called: as the node, or with the template's name in it."""
    workflow, _, number = node.rpartition("-")
    return (node, *(f"{workflow}-{template}-{number}" for template in _TEMPLATES))


def _said(log: str) -> dict[str, Any] | None:
    """Return what the step says of its failure, one line of JSON; see `pipelines.ir.step.say`."""
    for line in reversed(log.splitlines()):
        if '"failure"' not in line:
            continue
        try:
            # the launcher and the cluster's log collector may have put something before it
            content = json.loads(line[line.index("{") :])
        except ValueError:
            continue
        failure = content.get("failure")
        if isinstance(failure, dict) and failure.get("message"):
            return {"remedy": "", "spec_path": None, **failure}
    return None


def _exception(log: str) -> str:
    """Return the line that names the exception, else the last one; the launcher writes its own lines behind it."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    named = [line for line in lines if _EXCEPTION.match(line)]
    return (named or lines or [""])[-1][:1000]


def _run_error(run: Mapping[str, Any]) -> str:
    errors = [run.get("error"), *(status.get("error") for status in reversed(run.get("state_history") or []))]
    return next((str(error["message"]) for error in errors if error and error.get("message")), "")
