"""What a step asks of the cluster, in the words of Kubeflow Pipelines: the IR, and the Kubernetes document beside it.

Where things are: CPU, memory, accelerators and plain environment variables are in the executor's container, retries in
the task, and all the rest in a `KubernetesExecutorConfig` of the platform document. What no field of the three can say
is refused when the spec is read (a pod's priorityClassName, a service account for one step).

Names of objects and amounts are written twice, as the KFP SDK does: as a deprecated constant or number, which is all
that old backends read, and as a runtime value or a text, which newer ones prefer. `/dev/shm` is an emptyDir in memory,
since no backend reads the field `enabledSharedMemory` that the protobuf has for it.

Retries: Kubeflow gives Argo no retry policy, so its default holds, which tries again when the container fails. A spot
machine that is shut down in order kills its container, and that is such a failure. When the pod itself is deleted, by
the autoscaler or with a node that vanished, Argo calls it an error and does not try again: the run fails, and the next
one takes all steps before from the cache. The IR of Kubeflow 2.17 has no field for another policy.
"""

from __future__ import annotations

from typing import Any

from pipelines.resources.quantity import amount
from pipelines.resources.steps import StepResources

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - it is where Linux has it

NO_TIMEOUT_SECONDS = 7 * 24 * 3600
WAIT_FOR_MACHINE_SECONDS = 3600
"""How long an attempt may take that has no timeout, and how long its pod may wait; both only bound `maxDuration`."""

GIGABYTE = 1000**3
"""The unit of the deprecated numbers of memory."""

QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
PRIORITY_LABEL = "kueue.x-k8s.io/priority-class"


def container_resources(resources: StepResources) -> dict[str, Any]:
    """Return `container.resources` of the executor.

    Args:
        resources: of the step.
    """
    config = resources.config
    written: dict[str, Any] = {}
    for bound, cpu, memory in (
        ("Request", resources.cpu, resources.memory),
        ("Limit", config.cpu_limit, config.memory_limit),
    ):
        if cpu is not None:
            written |= {f"resourceCpu{bound}": cpu, f"cpu{bound}": float(amount(cpu))}
        if memory is not None:
            written |= {f"resourceMemory{bound}": memory, f"memory{bound}": float(amount(memory) / GIGABYTE)}
    if resources.count and resources.pool.accelerator:
        # it becomes a limit, and Kubernetes takes the same for the request
        kind, count = resources.pool.accelerator.resource, str(resources.count)
        written["accelerator"] = {"resourceType": kind, "resourceCount": count, "type": kind, "count": count}
    return written


def environment(resources: StepResources) -> list[dict[str, str]]:
    """Return `container.env` of the executor.

    Args:
        resources: of the step.
    """
    return [{"name": name, "value": value} for name, value in resources.config.env.items()]


def retry_policy(resources: StepResources) -> dict[str, Any] | None:
    """Return `retryPolicy` of the task, or None when it is tried once.

    `backoffMaxDuration` becomes Argo's `maxDuration`: all attempts together, from the start of the first. The KFP SDK
    caps it at an hour, which leaves a longer step without any retry; here it is long enough for every attempt.

    Args:
        resources: of the step.
    """
    retries = resources.retries
    if retries is None or retries.count == 0:
        return None
    waits = sum(retries.backoff_seconds * retries.factor**attempt for attempt in range(retries.count))
    attempt = (resources.config.timeout_seconds or NO_TIMEOUT_SECONDS) + WAIT_FOR_MACHINE_SECONDS
    longest = retries.max_seconds or (retries.count + 1) * attempt + waits
    return {
        "maxRetryCount": retries.count,
        "backoffDuration": f"{retries.backoff_seconds}s",
        "backoffFactor": float(retries.factor),
        "backoffMaxDuration": f"{longest}s",
    }


def executor_config(resources: StepResources) -> dict[str, Any]:
    """Return the executor's `KubernetesExecutorConfig` as JSON; empty when there is nothing to say.

    Args:
        resources: of the step.
    """
    from google.protobuf import json_format
    from kfp.kubernetes import kubernetes_executor_config_pb2

    config = kubernetes_executor_config_pb2.KubernetesExecutorConfig()
    _place(config, resources)
    _take_from_objects(config, resources)
    _mount(config, resources)
    _identity(config, resources)
    written: dict[str, Any] = json_format.MessageToDict(config)
    return written


def pod_labels(resources: StepResources) -> dict[str, str]:
    """Return the labels of the pod: the spec's, and those by which Kueue knows it.

    Args:
        resources: of the step.
    """
    kueue = {QUEUE_LABEL: resources.queue, PRIORITY_LABEL: resources.priority_class}
    return {**resources.config.labels, **{key: value for key, value in kueue.items() if value}}


def _place(config: Any, resources: StepResources) -> None:
    """On which machines, and for how long."""
    config.node_selector.labels.update(resources.pool.node_selector)
    if not resources.pool.node_selector:
        config.ClearField("node_selector")
    for toleration in resources.pool.tolerations:
        config.tolerations.add(**toleration.model_dump(exclude_none=True))
    if resources.config.timeout_seconds:
        config.active_deadline_seconds = resources.config.timeout_seconds


def _take_from_objects(config: Any, resources: StepResources) -> None:
    """Environment variables and files from Secrets and ConfigMaps."""
    for name, taken in resources.config.secrets.items():
        both = {"secret_name": name, "secret_name_parameter": _constant(name), "optional": taken.optional}
        if taken.env:
            added = config.secret_as_env.add(**both)
            for variable, key in taken.env.items():
                added.key_to_env.add(secret_key=key, env_var=variable)
        if taken.mount:
            config.secret_as_volume.add(**both, mount_path=taken.mount)
    for name, taken in resources.config.config_maps.items():
        both = {"config_map_name": name, "config_map_name_parameter": _constant(name), "optional": taken.optional}
        if taken.env:
            added = config.config_map_as_env.add(**both)
            for variable, key in taken.env.items():
                added.key_to_env.add(config_map_key=key, env_var=variable)
        if taken.mount:
            config.config_map_as_volume.add(**both, mount_path=taken.mount)
    for name in resources.config.image_pull_secrets:
        config.image_pull_secret.add(secret_name=name, secret_name_parameter=_constant(name))


def _mount(config: Any, resources: StepResources) -> None:
    """Volumes: claims, scratch space and shared memory."""
    for claim, path in resources.config.volumes.items():
        config.pvc_mount.add(constant=claim, pvc_name_parameter=_constant(claim), mount_path=path)
    if scratch := resources.config.scratch:
        config.generic_ephemeral_volume.add(
            volume_name="scratch",
            mount_path=scratch.mount,
            access_modes=["ReadWriteOnce"],
            size=scratch.size,
            default_storage_class=scratch.storage_class is None,
            storage_class_name=scratch.storage_class,
        )
    if resources.shared_memory:
        config.empty_dir_mounts.add(
            volume_name="shared-memory", mount_path=SHARED_MEMORY, medium="Memory", size_limit=resources.shared_memory
        )


def _identity(config: Any, resources: StepResources) -> None:
    """Labels and annotations, and as whom it runs."""
    if labels := pod_labels(resources):
        config.pod_metadata.labels.update(labels)
    if resources.config.annotations:
        config.pod_metadata.annotations.update(resources.config.annotations)
    if security := resources.config.security_context:
        for name, value in security.model_dump(exclude_none=True).items():
            setattr(config.security_context, name, value)


def _constant(name: str) -> Any:
    from kfp.pipeline_spec import pipeline_spec_pb2

    parameter = pipeline_spec_pb2.TaskInputsSpec.InputParameterSpec()
    parameter.runtime_value.constant.string_value = name
    return parameter
