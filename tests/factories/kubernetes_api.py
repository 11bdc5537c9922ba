"""A server that speaks the part of the Kubernetes API that starting workers takes, over TLS, with a token.

It keeps objects, checks them against Kubernetes' own schemas, makes pods for Jobs, TrainJobs and TFJobs, and runs them:
as scripted, or for real as processes of this machine.
"""

from __future__ import annotations

import copy
import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.factories.kubernetes_http import NAMESPACE, TOKEN, Fault, serve


@dataclass
class KubernetesServer:
    """The server; use it as a context manager.

    Args:
        folder: for its certificate and the service account's files.
        run_pod: called in a thread of its own with each pod that is made; it moves the pod through its states.
        operators: API groups that are installed besides Kubernetes' own.
    """

    folder: Path
    run_pod: Callable[[KubernetesServer, dict[str, Any]], None]
    operators: set[str] = field(default_factory=set)
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, list[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def __enter__(self) -> KubernetesServer:
        self.server, certificate = serve(self, self.folder)
        account = self.folder / "serviceaccount"
        account.mkdir()
        (account / "token").write_text(TOKEN)
        (account / "namespace").write_text(NAMESPACE)
        (account / "ca.crt").write_bytes(certificate.read_bytes())
        self.account = account
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
        self.server.shutdown()
        self.server.server_close()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server.server_address[1])

    def create(self, plural: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """Store an object, and do what its controller would."""
        stored = copy.deepcopy(manifest)
        stored["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now()}
        self.objects[plural, stored["metadata"]["name"]] = stored
        self.made[plural] = copy.deepcopy(manifest)
        counts: dict[str, Callable[[], tuple[int, dict[str, Any]]]] = {
            "jobs": lambda: (stored["spec"]["completions"], stored["spec"]["template"]),
            "trainjobs": lambda: (stored["spec"]["trainer"]["numNodes"], self._template_of_runtime(stored)),
            "tfjobs": lambda: (
                stored["spec"]["tfReplicaSpecs"]["Worker"]["replicas"],
                stored["spec"]["tfReplicaSpecs"]["Worker"]["template"],
            ),
        }
        if plural in counts:
            count, template = counts[plural]()
            for index in range(count):
                self._make_pod(plural, stored, index, template)
        return stored

    def _template_of_runtime(self, train_job: dict[str, Any]) -> dict[str, Any]:
        reference = train_job["spec"]["runtimeRef"]
        assert reference["kind"] == "TrainingRuntime"
        runtime = self.objects["trainingruntimes", reference["name"]]
        template: dict[str, Any] = runtime["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"][
            "template"
        ]
        return template

    def _make_pod(self, plural: str, owner: dict[str, Any], index: int, template: dict[str, Any]) -> None:
        name = owner["metadata"]["name"]
        pod = copy.deepcopy(template)
        metadata = pod.setdefault("metadata", {})
        labels = {"training.kubeflow.org/replica-index": str(index)} if plural == "tfjobs" else {}
        notes = {} if plural == "tfjobs" else {"batch.kubernetes.io/job-completion-index": str(index)}
        metadata["labels"] = {**metadata.get("labels", {}), **labels}
        metadata["annotations"] = {**metadata.get("annotations", {}), **notes}
        suffix = f"worker-{index}" if plural == "tfjobs" else f"{index}-{uuid.uuid4().hex[:5]}"
        metadata |= {"name": f"{name}-{suffix}", "namespace": NAMESPACE, "owner": (plural, name), "index": index}
        pod["status"] = {"phase": "Pending"}
        self.objects["pods", metadata["name"]] = pod
        threading.Thread(target=self.run_pod, args=(self, pod), daemon=True).start()

    def say(self, pod: dict[str, Any], line: str) -> None:
        """Add a line to a pod's log, stamped as the kubelet stamps it."""
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + f"{time.time_ns() % 1000:03}Z"
        self.logs.setdefault(pod["metadata"]["name"], []).append(f"{stamp} {line}")

    def set_state(self, pod: dict[str, Any], phase: str, **state: Any) -> None:
        """Move a pod to a phase; `state` is that of its container: `running={}`, say, or `waiting={"reason": …}`."""
        container = {"name": pod["spec"]["containers"][0]["name"], "state": state}
        pod["status"] = {"phase": phase, "containerStatuses": [container]}

    def end(self, pod: dict[str, Any], code: int, **more: Any) -> None:
        """End a pod; one that fails takes the others with it, as `backoffLimit: 0` says."""
        terminated = {"exitCode": code, "finishedAt": _now(), "reason": "Error" if code else "Completed", **more}
        self.set_state(pod, "Failed" if code else "Succeeded", terminated=terminated)
        if code:
            threading.Timer(1.0, self.stop_pods, [pod["metadata"]["owner"]]).start()

    def stop_pods(self, owner: tuple[str, str]) -> None:
        """End the processes of an owner's pods."""
        for (plural, name), pod in list(self.objects.items()):
            if plural == "pods" and pod["metadata"].get("owner") == owner and name in self.processes:
                self.processes[name].send_signal(signal.SIGTERM)

    def remove(self, plural: str, name: str) -> bool:
        """Delete an object and its pods."""
        found = self.objects.pop((plural, name), None)
        self.stop_pods((plural, name))
        for key, pod in list(self.objects.items()):
            if pod["metadata"].get("owner") == (plural, name):
                del self.objects[key]
        return found is not None


def as_processes(ports: list[int]) -> Callable[[KubernetesServer, dict[str, Any]], None]:
    """Return a kubelet that runs the container's command for real; the name service is `TF_CONFIG` with ports here."""

    def run_pod(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
        container, index = pod["spec"]["containers"][0], pod["metadata"]["index"]
        workers = [f"localhost:{port}" for port in ports]
        given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
        environment = {
            **os.environ,
            **given,
            "JOB_COMPLETION_INDEX": str(index),
            "TF_CONFIG": json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        process = subprocess.Popen(
            [sys.executable, *container["command"][1:]],
            env=environment,
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        cluster.processes[pod["metadata"]["name"]] = process
        cluster.set_state(pod, "Running", running={"startedAt": _now()})
        for line in process.stdout or ():
            cluster.say(pod, line.rstrip())
        code = process.wait()
        cluster.end(pod, code if code >= 0 else 128 - code)

    return run_pod


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
