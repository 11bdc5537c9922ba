"""What a step asks of the cluster, as the compiled pipeline says it: one small file for each pool or feature.

Each file of `platform/` holds two YAML documents: a part of a spec and the step to look at, and what is written for it.
After a change that is meant, `python tests/golden/test_platform.py` writes the second documents again; read the diff.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format, message
from kfp import compiler, dsl, kubernetes
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from pipelines.ir import platform
from pipelines.resources import step_resources
from pipelines.spec import load_spec

FOLDER = Path(__file__).parent / "platform"
FILES = sorted(FOLDER.glob("*.yaml"))

SPEC = {
    "name": "trips",
    "task": "binary_classification",
    "data": {"path": "data.csv", "label": {"big_tip": "tips > 0.2 * fare"}, "features": {"miles": "numeric"}},
    "model": {"family": "mlp", "hidden_units": [8]},
}
MESSAGES: dict[str, Callable[[], message.Message]] = {
    "container": pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec,
    "retryPolicy": pipeline_spec_pb2.PipelineTaskSpec.RetryPolicy,
    "executor": kubernetes_executor_config_pb2.KubernetesExecutorConfig,
}


def read(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the part of a spec, and what is written for it."""
    documents = list(yaml.safe_load_all(file.read_text()))
    return documents[0], documents[1] if len(documents) > 1 else {}


def written_for(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what is written for a step of a spec, without what is empty."""
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump({**SPEC, **{key: given[key] for key in ("resources", "training") if key in given}}))
    step = step_resources(load_spec(path))[given["step"]]
    parts = {
        "container": {"resources": platform.container_resources(step), "env": platform.environment(step)},
        "retryPolicy": platform.retry_policy(step),
        "executor": platform.executor_config(step),
    }
    parts["container"] = {key: value for key, value in parts["container"].items() if value}
    return {key: value for key, value in parts.items() if value}


def of_the_sdk(wish: Callable[[dsl.PipelineTask], None]) -> dict[str, Any]:
    """Return what the KFP SDK compiles for a step with these calls."""

    @dsl.container_component
    def step():  # the SDK cannot read an annotation that is a text
        return dsl.ContainerSpec(image="step", command=["true"])

    @dsl.pipeline(name="pair")
    def pair():
        wish(step())

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.yaml"
        compiler.Compiler().compile(pair, str(path))
        spec, *platforms = yaml.safe_load_all(path.read_text())
    container = spec["deploymentSpec"]["executors"]["exec-step"]["container"]
    found = {
        "container": {key: container[key] for key in ("resources", "env") if key in container},
        "retryPolicy": spec["root"]["dag"]["tasks"]["step"].get("retryPolicy"),
    }
    for document in platforms:
        found["executor"] = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-step"]
    return {key: value for key, value in found.items() if value}


def _small(task: dsl.PipelineTask) -> None:
    task.set_cpu_request("1").set_memory_request("4Gi")


def _gpu(task: dsl.PipelineTask) -> None:
    task.set_cpu_request("8").set_memory_request("32Gi")
    task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
    kubernetes.add_node_selector(task, "cloud.google.com/gke-accelerator", "nvidia-l4")
    kubernetes.add_toleration(task, key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")
    kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", medium="Memory", size_limit="8Gi")


def _kueue(task: dsl.PipelineTask) -> None:
    _gpu(task)
    kubernetes.add_pod_label(task, "kueue.x-k8s.io/queue-name", "research")
    kubernetes.add_pod_label(task, "kueue.x-k8s.io/priority-class", "high")


def _tpu(task: dsl.PipelineTask) -> None:
    task.set_cpu_request("200").set_memory_request("320Gi")
    task.set_accelerator_type("google.com/tpu").set_accelerator_limit(8)
    kubernetes.add_node_selector(task, "cloud.google.com/gke-tpu-accelerator", "tpu-v5-lite-podslice")
    kubernetes.add_node_selector(task, "cloud.google.com/gke-tpu-topology", "2x4")
    kubernetes.add_toleration(task, key="google.com/tpu", operator="Exists", effect="NoSchedule")
    kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", medium="Memory", size_limit="32Gi")


def _limits(task: dsl.PipelineTask) -> None:
    task.set_cpu_request("500m").set_memory_request("2Gi").set_cpu_limit("2").set_memory_limit("6Gi")


def _retries(task: dsl.PipelineTask) -> None:
    _small(task)
    task.set_retry(5, backoff_duration="60s", backoff_factor=2, backoff_max_duration="600s")


def _timeout(task: dsl.PipelineTask) -> None:
    _small(task)
    kubernetes.set_timeout(task, 7200)


def _environment(task: dsl.PipelineTask) -> None:
    _small(task)
    for name, value in (("TF_CPP_MIN_LOG_LEVEL", "2"), ("DEBUG", "true"), ("WANDB_MODE", "offline")):
        task.set_env_variable(name, value)


def _secrets(task: dsl.PipelineTask) -> None:
    _small(task)
    kubernetes.use_secret_as_env(task, "registry", {"token": "REGISTRY_TOKEN"})
    kubernetes.use_secret_as_volume(task, "gcp-key", "/var/secrets/gcp", optional=True)


def _config_maps(task: dsl.PipelineTask) -> None:
    _small(task)
    kubernetes.use_config_map_as_env(task, "site", {"name": "SITE"})
    kubernetes.use_config_map_as_volume(task, "site", "/etc/site")


def _volumes(task: dsl.PipelineTask) -> None:
    _small(task)
    kubernetes.mount_pvc(task, "train-cache", "/cache")
    kubernetes.add_ephemeral_volume(
        task, volume_name="scratch", mount_path="/scratch", access_modes=["ReadWriteOnce"], size="50Gi"
    )


def _storage_class(task: dsl.PipelineTask) -> None:
    _small(task)
    kubernetes.add_ephemeral_volume(
        task,
        volume_name="scratch",
        mount_path="/data",
        access_modes=["ReadWriteOnce"],
        size="1Ti",
        storage_class_name="premium-rwo",
    )


def _identity(task: dsl.PipelineTask) -> None:
    _small(task)
    kubernetes.set_image_pull_secrets(task, ["registry-login"])
    kubernetes.add_pod_label(task, "team", "ml")
    kubernetes.add_pod_label(task, "example.com/cost-centre", "42")
    kubernetes.add_pod_annotation(task, "cluster-autoscaler.kubernetes.io/safe-to-evict", "false")
    kubernetes.set_security_context(task, run_as_user=1000, run_as_group=1000, run_as_non_root=True)


PAIRS: dict[str, Callable[[dsl.PipelineTask], None]] = {
    "nothing": _small,
    "gpu-l4": _gpu,
    "kueue": _kueue,
    "tpu-v5e-2x4": _tpu,
    "requests-and-limits": _limits,
    "retries-bounded": _retries,
    "timeout": _timeout,
    "environment": _environment,
    "secrets": _secrets,
    "config-maps": _config_maps,
    "volumes": _volumes,
    "scratch-storage-class": _storage_class,
    "identity": _identity,
}
"""File to the calls of the KFP SDK that wish for the same."""


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_what_is_written_for_a_step_is_in_its_file(file, tmp_path):
    given, expected = read(file)
    assert written_for(given, tmp_path) == expected


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_the_protobufs_know_every_field_and_keep_every_value(file):
    for part, value in read(file)[1].items():
        parsed = json_format.ParseDict(value, MESSAGES[part](), ignore_unknown_fields=False)
        assert json_format.ParseDict(json_format.MessageToDict(parsed), MESSAGES[part]()) == parsed
        assert parsed.ByteSize() > 0


@pytest.mark.parametrize("file", PAIRS)
def test_the_sdk_of_kubeflow_writes_the_same_for_the_same_wishes(file):
    expected, compiled = read(FOLDER / f"{file}.yaml")[1], of_the_sdk(PAIRS[file])
    assert compiled.keys() == expected.keys()
    for part, value in expected.items():
        ours = json_format.ParseDict(value, MESSAGES[part]())
        assert json_format.ParseDict(compiled[part], MESSAGES[part]()) == ours


def test_the_sdk_would_cut_the_time_for_retries_that_the_file_has():
    """Why retries are not written by the SDK: an hour, however long the attempts are."""
    expected = read(FOLDER / "retries.yaml")[1]["retryPolicy"]
    attempts, waits = 3 * (1800 + platform.WAIT_FOR_MACHINE_SECONDS), 30 + 90
    assert expected["backoffMaxDuration"] == f"{attempts + waits}s" == "16320s"

    def longer(task: dsl.PipelineTask) -> None:
        task.set_retry(2, backoff_duration="30s", backoff_factor=3, backoff_max_duration="16320s")

    assert of_the_sdk(longer)["retryPolicy"]["backoffMaxDuration"] == "3600s"


def rewrite() -> None:
    """Write what is written now into every file, under the part of the spec as it stands."""
    for file in FILES:
        head = file.read_text().partition("\n---\n")[0].rstrip("\n")
        with tempfile.TemporaryDirectory() as folder:
            found = written_for(read(file)[0], Path(folder))
        file.write_text(f"{head}\n---\n{yaml.safe_dump(found, sort_keys=True, width=120)}")


if __name__ == "__main__":
    rewrite()
