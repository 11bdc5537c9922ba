"""What each worker of a training asks of the cluster, as part of a Kubernetes pod template.

Kubeflow Pipelines knows nothing of these pods: the Trainer starts them with a template like its own pod, and lays this
over it; see `components.training.launch`.
"""

from __future__ import annotations

from typing import Any

from pipelines.ir.platform import SHARED_MEMORY, environment, pod_labels
from pipelines.resources.config import FromObject, StepConfig
from pipelines.resources.steps import StepResources

CONTAINER = "worker"


def worker_pod(resources: StepResources) -> dict[str, Any]:
    """Return the part of a pod template that the node pool and the spec decide; its one container is `worker`.

    It goes into `runtime["worker_pod"]`. The time-out is not in it: it ends the Trainer's own pod, and with it these.

    Args:
        resources: what `pipelines.resources.worker_resources` returned.
    """
    config = resources.config
    volumes, mounts = _volumes(resources)
    security = config.security_context.model_dump(exclude_none=True) if config.security_context else {}
    container = {
        "name": CONTAINER,
        "resources": _amounts(resources),
        "env": [*environment(resources), *_variables(config)],
        "volumeMounts": mounts,
        "securityContext": {_camel(name): value for name, value in security.items()},
    }
    spec: dict[str, Any] = {
        "nodeSelector": dict(resources.pool.node_selector),
        "tolerations": [toleration.model_dump(exclude_none=True) for toleration in resources.pool.tolerations],
        "imagePullSecrets": [{"name": name} for name in config.image_pull_secrets],
        "volumes": volumes,
        "containers": [_without_empty(container)],
    }
    metadata = _without_empty({"labels": pod_labels(resources), "annotations": dict(config.annotations)})
    return _without_empty({"metadata": metadata, "spec": _without_empty(spec)})


def _amounts(resources: StepResources) -> dict[str, Any]:
    config = resources.config
    requests = {"cpu": resources.cpu, "memory": resources.memory}
    limits = {"cpu": config.cpu_limit, "memory": config.memory_limit}
    if resources.count and resources.pool.accelerator:
        requests[resources.pool.accelerator.resource] = str(resources.count)
        limits[resources.pool.accelerator.resource] = str(resources.count)
    given = {name: value for name, value in limits.items() if value is not None}
    return _without_empty({"requests": requests, "limits": given})


def _variables(config: StepConfig) -> list[dict[str, Any]]:
    """Return the variables whose values are in Secrets and ConfigMaps."""
    return [
        {"name": variable, "valueFrom": {kind: {"name": name, "key": key, "optional": taken.optional}}}
        for kind, objects in (("secretKeyRef", config.secrets), ("configMapKeyRef", config.config_maps))
        for name, taken in objects.items()
        for variable, key in taken.env.items()
    ]


def _volumes(resources: StepResources) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Return the volumes, and where the container has them."""
    config = resources.config
    found: list[tuple[str, str, dict[str, Any]]] = [
        *_mounted(config.secrets, "secret", "secretName"),
        *_mounted(config.config_maps, "configMap", "name"),
        *((claim, path, {"persistentVolumeClaim": {"claimName": claim}}) for claim, path in config.volumes.items()),
    ]
    if scratch := config.scratch:
        claim: dict[str, Any] = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": scratch.size}},
        }
        if scratch.storage_class:
            claim["storageClassName"] = scratch.storage_class
        found.append(("scratch", scratch.mount, {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}))
    if resources.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": resources.shared_memory}
        found.append(("shared-memory", SHARED_MEMORY, {"emptyDir": memory}))
    volumes = [{"name": name, **source} for name, _, source in found]
    return volumes, [{"name": name, "mountPath": path} for name, path, _ in found]


def _mounted(objects: dict[str, FromObject], kind: str, key: str) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (name, taken.mount, {kind: {key: name, "optional": taken.optional}})
        for name, taken in objects.items()
        if taken.mount
    ]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _without_empty(written: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if value not in ({}, [])}
