"""A Trainer's pod on a Kubernetes server, and what the pods of its workers do there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.training.job import Job
from components.training.launch import cluster_api, kubernetes
from tests.factories.kubernetes_api import KubernetesServer
from tests.factories.kubernetes_http import NAMESPACE

NAME = "sluice-train-0123456789"
KEY = "0123456789abcdef"
RunPod = Callable[[KubernetesServer, dict[str, Any]], None]


class Pods:
    """Starts servers of which this process is a pod; `close` ends them.

    Args:
        folder: for the servers' files; the pod has a volume at `folder/shared`.
        monkeypatch: sets what a pod finds in its environment.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.servers: list[KubernetesServer] = []

    def start(self, run_pod: RunPod | None = None, **options: Any) -> KubernetesServer:
        """Return a server that is running; see `KubernetesServer`."""
        cluster = KubernetesServer(self.folder, run_pod or finished, **options).__enter__()
        self.servers.append(cluster)
        cluster.objects["pods", "taxi-x7-trainer"] = own_pod(self.folder / "shared")
        patch = self.monkeypatch
        patch.setattr(cluster_api, "SERVICE_ACCOUNT", cluster.account)
        patch.setattr(cluster_api, "FIRST_WAIT_SECONDS", 0.01)
        patch.setattr(kubernetes, "POLL_SECONDS", 0.1)
        patch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        patch.setenv("KUBERNETES_SERVICE_PORT", str(cluster.port))
        patch.setenv("HOSTNAME", "taxi-x7-trainer")
        patch.delenv("POD_NAME", raising=False)
        return cluster

    def close(self) -> None:
        """End every server."""
        for cluster in self.servers:
            cluster.__exit__()


def own_pod(shared: Path) -> dict[str, Any]:
    """Return the Trainer's pod as Argo and KFP make one."""
    mounts = {
        "kfp-launcher": "/kfp-launcher",
        "tmp-dir-argo": "/tmp",
        "s3-scratch": "/s3",
        "data": str(shared),
        "kube-api-access-x7x2p": "/var/run/secrets/kubernetes.io/serviceaccount",
    }
    main = {
        "name": "main",
        "image": "registry.example/sluice:3f2a",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/var/run/argo/argoexec", "emissary", "--", "/kfp-launcher/launch"],
        "env": [
            {"name": "ARGO_CONTAINER_NAME", "value": "main"},
            {"name": "KFP_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "AWS_ACCESS_KEY_ID", "valueFrom": {"secretKeyRef": {"name": "store", "key": "user"}}},
        ],
        "resources": {"requests": {"cpu": "500m"}},
        "securityContext": {"runAsNonRoot": True, "allowPrivilegeEscalation": False},
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }
    volumes = [{"name": name, "emptyDir": {}} for name in mounts if name != "data"]
    return {
        "metadata": {"name": "taxi-x7-trainer", "namespace": NAMESPACE, "uid": "0f6c"},
        "spec": {
            "serviceAccountName": "sluice-trainer",
            "nodeSelector": {"pool": "small"},
            "imagePullSecrets": [{"name": "registry"}],
            "containers": [{"name": "wait", "image": "argoexec"}, main],
            "volumes": [*volumes, {"name": "data", "persistentVolumeClaim": {"claimName": "sluice"}}],
        },
    }


def finished(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
    """Do what a worker's pod does, without TensorFlow: say something, leave a model, end."""
    cluster.set_state(pod, "Pending", waiting={"reason": "ContainerCreating"})
    time.sleep(0.15)
    cluster.set_state(pod, "Running", running={})
    environment = {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0]["env"]}
    if pod["metadata"]["index"] == 0:
        outputs = Path(environment["SLUICE_JOB"], "outputs")
        (outputs / "model_folder" / "Format-Serving").mkdir(parents=True)
        (outputs / "model_folder" / "Format-Serving" / "saved_model.pb").write_text("a model")
        (outputs / "run_folder").mkdir()
        progress = {"component": "Trainer", "text": "epoch 1/1, val_auc 0.9", "done": 1, "total": 1}
        cluster.say(pod, json.dumps({"progress": progress}))
    for line in range(3):
        cluster.say(pod, f"line {line} of {pod['metadata']['index']}")
        time.sleep(0.05)
    cluster.end(pod, 0)


def ending(code: int, index: int = 1, lines: tuple[str, ...] = (), **more: Any) -> RunPod:
    """Return a kubelet under which one worker fails while the other would go on for ever."""

    def run_pod(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
        cluster.set_state(pod, "Running", running={})
        if pod["metadata"]["index"] == index:
            for line in lines:
                cluster.say(pod, line)
            cluster.end(pod, code, **more)

    return run_pod


def waiting(reason: str, message: str) -> RunPod:
    return lambda cluster, pod: cluster.set_state(pod, "Pending", waiting={"reason": reason, "message": message})


def untrained_job(folder: Path) -> Job:
    """Return a job whose folders hold something, for pods that do not train."""
    given = {}
    for name in ("train_folder", "eval_folder", "transform_graph", "raw_folder"):
        given[name] = folder / "inputs" / name
        given[name].mkdir(parents=True)
        (given[name] / "part").write_text(name)
    output = folder / "output"
    runtime = {
        "root": str(folder / "shared" / "taxi"),
        "trainer_key": KEY,
        "workers": 2,
        "launcher": "kubernetes",
        "progress": str(folder / "progress.jsonl"),
    }
    config = {"training": {"batch_size": 64, "strategy": "multi_worker"}}
    return Job(
        config,
        runtime,
        **{name: str(path) for name, path in given.items()},
        model_folder=output / "model",
        serving_folder=output / "model" / "Format-Serving",
        run_folder=output / "run",
    )


def left_over(cluster: KubernetesServer) -> list[tuple[str, str]]:
    return [key for key in cluster.objects if key != ("pods", "taxi-x7-trainer") and "cluster" not in key[0]]
