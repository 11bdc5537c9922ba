"""The objects that the Trainer makes on Kubernetes for its workers; they look like the Trainer's own pod."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from components.training.cluster import HOSTS, JOB, PORT, PORT_NAME, WORKERS
from components.training.launch.cluster_api import JOBS, RUNTIMES, SERVICES, TF_JOBS, TRAIN_JOBS, Resource

Kind = Literal["job", "trainjob", "tfjob"]

LABEL = "sluice.dev/training"
COMMAND = ["python", "-m", "components.training.worker"]
CONTAINERS: dict[Kind, str] = {"job": "worker", "trainjob": "node", "tfjob": "tensorflow"}
"""What the worker's container is called; both operators of Kubeflow look for theirs by name."""

KEPT_SECONDS = 3600
"""How long a finished Job stays when the Trainer was killed before it could delete it."""

_OF_THE_STEP = ("securityContext", "imagePullSecrets", "serviceAccountName", "runtimeClassName", "schedulerName")
_OF_THE_POOL = ("nodeSelector", "tolerations", "affinity", "priorityClassName", "activeDeadlineSeconds")
# What Argo and KFP bring into a step's pod; a worker has no use for it.
_FOREIGN_MOUNTS = ("/gcs", "/s3", "/minio", "/kfp-launcher", "/.local", "/.cache", "/.config", "/var/run/argo")
_SERVICE_ACCOUNT = "kube-api-access-"
_FOREIGN_ENVIRONMENT = ("ARGO_", "KFP_", "KUBERNETES_", "SLUICE_PROGRESS", "TF_CONFIG", "HOSTNAME", "POD_NAME")


@dataclass(frozen=True)
class Workers:
    """What is to be started.

    Args:
        name: of all objects.
        count: how many workers.
        exchange: where they find their job.
        own_pod: the Trainer's pod, as the API shows it; its image, volumes, environment and the like are theirs.
        wanted: part of a pod template with one container, which is laid over it; when there is one, machines and
            amounts come from it alone, since the Trainer's pod is a small one.
    """

    name: str
    count: int
    exchange: str
    own_pod: Mapping[str, Any]
    wanted: Mapping[str, Any]

    @property
    def metadata(self) -> dict[str, Any]:
        """Return the metadata of every object; it goes when the Trainer's pod goes."""
        own = self.own_pod["metadata"]
        owner = {"apiVersion": "v1", "kind": "Pod", "name": own["name"], "uid": own["uid"]}
        return {
            "name": self.name,
            "namespace": own["namespace"],
            "labels": {**self._queue, **self.labels},
            "ownerReferences": [owner],
        }

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of every object and every pod."""
        return {
            "app.kubernetes.io/name": "sluice",
            "app.kubernetes.io/part-of": "sluice",
            "app.kubernetes.io/component": "training-worker",
            LABEL: self.name,
        }

    @property
    def _queue(self) -> dict[str, str]:
        # Kueue reads its labels from the workload, not from its pods.
        labels = self.wanted.get("metadata", {}).get("labels", {})
        return {name: value for name, value in labels.items() if "kueue" in name}

    @property
    def _wanted_container(self) -> Mapping[str, Any]:
        containers = self.wanted.get("spec", {}).get("containers") or [{}]
        found: Mapping[str, Any] = containers[0]
        return found

    def hosts(self, kind: Kind) -> str:
        """Return the pattern of the workers' names."""
        return (
            f"{self.name}-node-0-{{index}}.{self.name}" if kind == "trainjob" else f"{self.name}-{{index}}.{self.name}"
        )

    def own_container(self) -> Mapping[str, Any]:
        """Return the container of the Trainer's pod that runs the step; Argo calls it main."""
        containers: list[Mapping[str, Any]] = self.own_pod["spec"]["containers"]
        return next((each for each in containers if each["name"] == "main"), containers[0])

    def own_mounts(self) -> list[Mapping[str, Any]]:
        """Return the volumes in the Trainer's container, without those of Argo, KFP and Kubernetes."""
        return [each for each in self.own_container().get("volumeMounts", ()) if not _is_foreign(each)]

    def pod(self, kind: Kind) -> dict[str, Any]:
        """Return the pod template of a worker."""
        own, wanted = self.own_pod["spec"], self.wanted.get("spec", {})
        spec = {name: own[name] for name in _OF_THE_STEP if own.get(name)}
        spec |= {name: wanted[name] for name in _OF_THE_STEP if name in wanted}
        machine = wanted if self.wanted else own
        spec |= {name: machine[name] for name in _OF_THE_POOL if machine.get(name)}
        container = self._container(kind)
        mounted = {each["name"] for each in container["volumeMounts"]}
        volumes = {each["name"]: each for each in (*own.get("volumes", ()), *wanted.get("volumes", ()))}
        volumes.setdefault("tmp", {"name": "tmp", "emptyDir": {}})
        spec |= {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [volume for name, volume in volumes.items() if name in mounted],
        }
        if kind == "job":
            spec["subdomain"] = self.name
        metadata = self.wanted.get("metadata", {})
        labels = {**metadata.get("labels", {}), "sidecar.istio.io/inject": "false", **self.labels}
        return {"metadata": {"labels": labels, "annotations": dict(metadata.get("annotations", {}))}, "spec": spec}

    def _container(self, kind: Kind) -> dict[str, Any]:
        own, wanted = self.own_container(), self._wanted_container
        security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        container = {
            "image": own["image"],
            "securityContext": {**(own.get("securityContext") or security), **wanted.get("securityContext", {})},
            "resources": (wanted if self.wanted else own).get("resources", {}),
        }
        container |= {name: own[name] for name in ("imagePullPolicy", "envFrom") if own.get(name)}
        mounts = {each["mountPath"]: each for each in self.own_mounts()}
        mounts |= {each["mountPath"]: each for each in wanted.get("volumeMounts", ())}
        mounts.setdefault("/tmp", {"name": "tmp", "mountPath": "/tmp"})  # noqa: S108 - of the worker's pod
        port_name = "tfjob-port" if kind == "tfjob" else "grpc"
        return {
            **copy.deepcopy(container),
            "name": CONTAINERS[kind],
            "command": COMMAND,
            "env": self._environment(kind),
            "ports": [{"name": port_name, "containerPort": PORT, "protocol": "TCP"}],
            "volumeMounts": list(mounts.values()),
            "terminationMessagePolicy": "FallbackToLogsOnError",
        }

    def _environment(self, kind: Kind) -> list[dict[str, Any]]:
        own = [
            each for each in self.own_container().get("env", ()) if not each["name"].startswith(_FOREIGN_ENVIRONMENT)
        ]
        ours = {JOB: self.exchange}
        if kind != "tfjob":  # its operator sets TF_CONFIG
            ours |= {WORKERS: str(self.count), HOSTS: self.hosts(kind), PORT_NAME: str(PORT)}
        given = [{"name": name, "value": value} for name, value in ours.items()]
        return list({each["name"]: each for each in (*own, *self._wanted_container.get("env", ()), *given)}.values())


def _is_foreign(mount: Mapping[str, Any]) -> bool:
    argo = str(mount["name"]) == "tmp-dir-argo"
    return argo or mount["mountPath"] in _FOREIGN_MOUNTS or str(mount["name"]).startswith(_SERVICE_ACCOUNT)


def objects_of(kind: Kind, workers: Workers, base: Mapping[str, Any]) -> list[tuple[Resource, dict[str, Any]]]:
    """Return what to create, in order.

    Args:
        kind: a Job of Kubernetes itself, a TrainJob of Kubeflow Trainer v2, or a TFJob of its predecessor.
        workers: what is to be started.
        base: the ClusterTrainingRuntime that a TrainJob starts from.
    """
    if kind == "trainjob":
        return [(RUNTIMES, _runtime(workers, base)), (TRAIN_JOBS, _train_job(workers))]
    if kind == "tfjob":
        return [(TF_JOBS, _tf_job(workers))]
    return [(SERVICES, _service(workers)), (JOBS, _job(workers))]


def _service(workers: Workers) -> dict[str, Any]:
    """Return the headless service that gives each pod of the Job its name."""
    spec = {
        "clusterIP": "None",
        "selector": {LABEL: workers.name},
        # TensorFlow's servers wait for each other: nobody is ready before all have names.
        "publishNotReadyAddresses": True,
        "ports": [{"name": "grpc", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": workers.metadata, "spec": spec}


def _job(workers: Workers) -> dict[str, Any]:
    spec = {
        "completionMode": "Indexed",
        "completions": workers.count,
        "parallelism": workers.count,
        # A worker cannot come back into a training that goes on; all begin again, from the checkpoint.
        "backoffLimit": 0,
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "template": workers.pod("job"),
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": workers.metadata, "spec": spec}


def _runtime(workers: Workers, base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cluster's runtime with our pods in it.

    A copy, since the field with which a TrainJob changes pods has been renamed between releases of Trainer v2.
    """
    spec = copy.deepcopy(dict(base["spec"]))
    spec["mlPolicy"] = {**spec.get("mlPolicy", {}), "numNodes": workers.count}
    jobs = spec["template"]["spec"]["replicatedJobs"]
    node = next((each for each in jobs if each["name"] == "node"), jobs[0])
    template = node["template"]["spec"]["template"]
    ours = workers.pod("trainjob")
    theirs, kept = template.get("metadata", {}), template.get("spec", {})
    node["template"]["spec"]["template"] = {
        "metadata": {part: {**theirs.get(part, {}), **ours["metadata"][part]} for part in ("labels", "annotations")},
        # What only the cluster's runtime says of pods stays, such as a scheduler or topology constraints.
        "spec": {**kept, **ours["spec"]},
    }
    labels = {**base["metadata"].get("labels", {}), **workers.metadata["labels"]}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {**workers.metadata, "labels": labels},
        "spec": spec,
    }


def _train_job(workers: Workers) -> dict[str, Any]:
    reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": workers.name}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": workers.metadata,
        "spec": {"runtimeRef": reference, "trainer": {"numNodes": workers.count}},
    }


def _tf_job(workers: Workers) -> dict[str, Any]:
    replicas = {"replicas": workers.count, "restartPolicy": "Never", "template": workers.pod("tfjob")}
    policy = {"cleanPodPolicy": "Running", "backoffLimit": 0, "ttlSecondsAfterFinished": KEPT_SECONDS}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": workers.metadata,
        "spec": {"runPolicy": policy, "tfReplicaSpecs": {"Worker": replicas}},
    }
