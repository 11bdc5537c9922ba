"""TensorFlow Serving is told of models, labels and metrics in words that it reads, and the probes ask for the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from tests.unit.k8s import manifests
from tests.unit.k8s.manifests import Manifest, of_kind

SERVED = ("local", "generic", "gke")


@pytest.fixture(params=SERVED)
def rendered(request: pytest.FixtureRequest) -> tuple[Manifest, ...]:
    return manifests.overlay(request.param)


def models(text: str) -> Any:
    """Return the models of a models.config."""
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config


def server(rendered: tuple[Manifest, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the pod's spec and the files it mounts."""
    (deployment,) = of_kind(rendered, "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    (name,) = [volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume]
    (files,) = [item["data"] for item in of_kind(rendered, "ConfigMap") if item["metadata"]["name"] == name]
    return spec, files


def flags(spec: dict[str, Any]) -> dict[str, str]:
    """Return the server's flags."""
    return dict(argument.removeprefix("--").split("=", 1) for argument in spec["containers"][0]["args"])


def folders(spec: dict[str, Any]) -> tuple[str, ...]:
    """Return where volumes with models are mounted."""
    claims = {volume["name"] for volume in spec["volumes"] if "persistentVolumeClaim" in volume}
    mounts = spec["containers"][0]["volumeMounts"]
    assert all(mount["readOnly"] for mount in mounts if mount["name"] in claims)
    return tuple(f"{mount['mountPath']}/" for mount in mounts if mount["name"] in claims)


def test_the_server_reads_the_files_that_are_mounted(rendered: tuple[Manifest, ...]) -> None:
    spec, files = server(rendered)
    (folder,) = [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "config"]
    named = {flags(spec)[flag] for flag in ("model_config_file", "monitoring_config_file")}
    assert named == {f"{folder}/{name}" for name in files}


def test_each_model_is_where_the_server_can_look(rendered: tuple[Manifest, ...]) -> None:
    spec, files = server(rendered)
    mounted = folders(spec)
    assert models(files["models.config"])
    for model in models(files["models.config"]):
        assert model.model_platform == "tensorflow"
        assert model.base_path.startswith((*mounted, "gs://")), model.base_path


def test_readiness_asks_for_a_model_that_is_served(rendered: tuple[Manifest, ...]) -> None:
    spec, files = server(rendered)
    path = spec["containers"][0]["readinessProbe"]["httpGet"]["path"]
    assert path in {f"/v1/models/{model.name}" for model in models(files["models.config"])}


def test_metrics_are_where_everyone_asks_for_them(rendered: tuple[Manifest, ...]) -> None:
    spec, files = server(rendered)
    # the wheel of TensorFlow Serving's API has no message for this file
    found = re.fullmatch(r'prometheus_config \{ enable: true path: "(/[\w/]+)" \}\n', files["monitoring.config"])
    assert found
    path = found[1]
    (deployment,) = of_kind(rendered, "Deployment")
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == path
    assert annotations["prometheus.io/port"] == flags(spec)["rest_api_port"]
    assert spec["containers"][0]["livenessProbe"]["httpGet"]["path"] == path
    for monitor in of_kind(rendered, "PodMonitor"):
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["path"] == path
        assert endpoint["port"] == "http"


def test_ports_are_the_same_everywhere(rendered: tuple[Manifest, ...]) -> None:
    spec, _ = server(rendered)
    ports = {port["name"]: port["containerPort"] for port in spec["containers"][0]["ports"]}
    assert ports == {"grpc": int(flags(spec)["port"]), "http": int(flags(spec)["rest_api_port"])}
    (service,) = of_kind(rendered, "Service")
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    let_in = [item for item in of_kind(rendered, "NetworkPolicy") if item["metadata"]["name"] == "model-server"]
    assert {port["port"] for port in let_in[0]["spec"]["ingress"][0]["ports"]} == set(ports.values())


def test_threads_are_as_many_as_cpus(rendered: tuple[Manifest, ...]) -> None:
    """With more, the kernel would throttle the server; TensorFlow would take one per CPU of the node."""
    spec, _ = server(rendered)
    cpus = spec["containers"][0]["resources"]["limits"]["cpu"]
    assert flags(spec)["tensorflow_intra_op_parallelism"] == flags(spec)["tensorflow_inter_op_parallelism"] == cpus


def test_a_stop_leaves_time_to_finish(rendered: tuple[Manifest, ...]) -> None:
    spec, _ = server(rendered)
    waits = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert waits < spec["terminationGracePeriodSeconds"]


def test_models_of_a_bucket_are_where_it_is_mounted(tmp_path: Path) -> None:
    spec, files = server(manifests.with_components("generic", ["models_from_s3"], tmp_path))
    (model,) = models(files["models.config"])
    assert model.base_path.startswith("/bucket/")
    assert "/bucket/" in folders(spec)


def test_labels_name_versions_that_are_loaded(tmp_path: Path) -> None:
    with_labels = manifests.with_components("generic", ["version_labels"], tmp_path)
    spec, files = server(with_labels)
    (model,) = models(files["models.config"])
    assert set(model.version_labels) == {"stable", "canary"}
    assert set(model.version_labels.values()) <= set(model.model_version_policy.specific.versions)
    assert flags(spec)["allow_version_labels_for_unavailable_models"] == "true"
    assert "monitoring.config" in files


def test_changed_models_start_new_pods(tmp_path: Path) -> None:
    before, _ = server(manifests.overlay("generic"))
    after, _ = server(manifests.with_components("generic", ["version_labels"], tmp_path))
    names = [[volume for volume in spec["volumes"] if "configMap" in volume] for spec in (before, after)]
    assert names[0] != names[1]
    assert re.fullmatch(r"model-server-[a-z0-9]{10}", names[0][0]["configMap"]["name"])


def test_kserve_serves_the_same_folder() -> None:
    (service,) = of_kind(manifests.overlay("kserve"), "InferenceService")
    (model,) = models(server(manifests.overlay("generic"))[1]["models.config"])
    claim, folder = service["spec"]["predictor"]["model"]["storageUri"].removeprefix("pvc://").split("/", 1)
    (mount,) = [
        volume
        for volume in server(manifests.overlay("generic"))[0]["volumes"]
        if volume.get("persistentVolumeClaim", {}).get("claimName") == claim
    ]
    assert mount["name"] == "models"
    assert model.base_path == f"/sluice/{folder}"
    assert service["metadata"]["name"] == model.name
