"""What the API says about the workers' pods, and their logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.engine.progress import event_of
from components.errors import ComponentError
from components.training.launch.cluster_api import ClusterApi
from components.training.launch.follow import Ended, Heard

# A container that waits for one of these will wait for ever.
_HOPELESS = {
    "ImagePullBackOff": "Check the image's name, and resources.default.image_pull_secrets for its registry.",
    "InvalidImageName": "Check the image's name.",
    "ErrImageNeverPull": "Bring the image to the nodes, or set its pull policy to IfNotPresent.",
    "CreateContainerConfigError": "Check that the secrets and config maps of resources.trainer exist.",
    "CreateContainerError": "Check the volumes of resources.trainer.",
}
_INDEX_NAMES = ("batch.kubernetes.io/job-completion-index", "training.kubeflow.org/replica-index")


@dataclass
class PodWatch:
    """One pod of a worker.

    Args:
        name: of the pod.
        container: of the worker in it.
        heard: what it has said.
    """

    name: str
    container: str
    heard: Heard
    _last: str = ""

    def read_log(self, api: ClusterApi) -> None:
        """Take the lines that have come since the last call."""
        since = f"{self._last.partition('.')[0].rstrip('Z')}Z" if self._last else None
        for line in api.log(self.name, self.container, since).splitlines():
            stamp, _, text = line.partition(" ")
            # `since` counts whole seconds, so some lines come again.
            if stamp > self._last:
                self._last = stamp
                self.heard.take(text)

    def has_started(self, pod: Mapping[str, Any]) -> bool:
        """Say whether there can be a log."""
        state = self._state(pod)
        return "running" in state or "terminated" in state

    def ended(self, pod: Mapping[str, Any]) -> Ended | None:
        """Return how the pod ended, or None while it has not."""
        status = pod["status"]
        if status.get("phase") not in {"Succeeded", "Failed"}:
            return None
        terminated = self._state(pod).get("terminated", {})
        code = int(terminated.get("exitCode", 0 if status["phase"] == "Succeeded" else 1))
        if status["phase"] == "Failed" and code == 0:
            code = 1
        reason = status.get("reason") or terminated.get("reason") or ""
        if self.heard.failure is None:
            self.heard.failure = _failure_in(terminated.get("message", ""))
        return Ended(self.heard, code, "" if reason == "Error" else reason)

    def when(self, pod: Mapping[str, Any]) -> str:
        """Return when the pod ended, as text that sorts."""
        return str(self._state(pod).get("terminated", {}).get("finishedAt", "9"))

    def refuse_hopeless(self, pod: Mapping[str, Any]) -> None:
        """Do not wait for a pod that cannot start.

        Raises:
            ComponentError: it waits for what will not come.
        """
        waiting = self._state(pod).get("waiting", {})
        remedy = _HOPELESS.get(waiting.get("reason", ""))
        if remedy:
            raise ComponentError(
                f"Worker {self.heard.index} ({self.name}) cannot start: {waiting['reason']}: "
                f"{waiting.get('message', '').strip()}",
                spec_path="resources.trainer",
                remedy=remedy,
            )

    def _state(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        for each in pod["status"].get("containerStatuses", ()):
            if each["name"] == self.container:
                return dict(each.get("state", {}))
        return {}


def index_of(pod: Mapping[str, Any]) -> int:
    """Return which worker a pod is."""
    metadata = pod["metadata"]
    for name in _INDEX_NAMES:
        found = metadata.get("annotations", {}).get(name) or metadata.get("labels", {}).get(name)
        if found is not None and str(found).isdigit():
            return int(found)
    raise ComponentError(f"Pod {metadata['name']} does not say which worker it is; expected label {_INDEX_NAMES[0]}.")


def why_not_scheduled(pod: Mapping[str, Any]) -> str:
    """Return what the scheduler says about a pod that has no node; empty when it has one."""
    for condition in pod["status"].get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "no node")
    return ""


def _failure_in(message: str) -> dict[str, Any] | None:
    """Return what a worker left as its last words for Kubernetes."""
    told = (event_of(line).get("failure") for line in reversed(message.splitlines()))
    return next(filter(None, told), None)
