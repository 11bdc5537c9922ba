"""Workers started by hand or by the launcher are valid, admitted and find each other; the rights to make them exist."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from components.training.cluster import Cluster
from components.training.launch.cluster_api import Resource
from components.training.launch.manifests import COMMAND, Kind, Workers, objects_of
from tests.golden.k8s import tables
from tests.unit.k8s import manifests, schemas
from tests.unit.k8s.manifests import Manifest, PodTemplate, of_kind, pod_templates
from tests.unit.k8s.test_pod_security import broken_rules

KINDS: tuple[Kind, ...] = ("job", "trainjob", "tfjob")
LOCKED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
STEP: Manifest = {
    "metadata": {"name": "taxi-abc-system-container-impl-1", "namespace": "sluice", "uid": "0b4c"},
    "spec": {
        "serviceAccountName": "pipeline-runner",
        "nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-l4"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "main",
                "image": "registry.example.com/sluice/step:0.1.0",
                "command": ["/var/run/argo/argoexec", "emissary", "--"],
                "env": [{"name": "KFP_POD_NAME", "value": "taxi"}, {"name": "AWS_REGION", "value": "eu-west-1"}],
                "resources": {
                    "requests": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "1"},
                    "limits": {"memory": "32Gi", "nvidia.com/gpu": "1"},
                },
                "securityContext": LOCKED,
                "volumeMounts": [
                    {"name": "var-run-argo", "mountPath": "/var/run/argo"},
                    {"name": "dshm", "mountPath": "/dev/shm"},
                ],
            }
        ],
        "volumes": [
            {"name": "var-run-argo", "emptyDir": {}},
            {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}},
        ],
    },
}
"""What the Kubernetes API shows of a Trainer step's pod, less what is of no interest here."""


def started(kind: Kind) -> list[tuple[Resource, Manifest]]:
    """Return what the launcher makes for three workers, in a cluster that has the runtime of the overlay `gke`."""
    (runtime,) = of_kind(manifests.overlay("gke"), "ClusterTrainingRuntime")
    workers = Workers("sluice-train-0123456789", 3, "s3://bucket/taxi/multi-worker/key", STEP, {})
    return objects_of(kind, workers, runtime)


def worker_pods(kind: Kind) -> list[PodTemplate]:
    """Return the pods of those workers."""
    return pod_templates([manifest for _, manifest in started(kind)])


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_launcher_makes_is_valid(kind: Kind) -> None:
    assert [problem for _, manifest in started(kind) for problem in schemas.problems(manifest)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_its_pods_are_admitted_as_restricted(kind: Kind) -> None:
    (template,) = worker_pods(kind)
    assert list(broken_rules(template)) == []
    assert template.spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("kind", KINDS)
def test_its_pods_are_known_to_the_network_policies(kind: Kind) -> None:
    (template,) = worker_pods(kind)
    found = tables.flows(manifests.overlay("generic"), "sluice", template.labels)
    assert found == tables.flows(manifests.overlay("generic"), "sluice", tables.PODS["training worker"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_launcher_may_make_and_remove_them(kind: Kind, tmp_path: Any) -> None:
    with_tf_job = manifests.with_components("gke", ["tf_job"], tmp_path)
    for account in ("pipeline-runner", "training-launcher"):
        may = {what: set(verbs.split()) for who, what, verbs in tables.rights(with_tf_job) if who == account}
        for resource, _ in started(kind):
            group = f".{resource.group}" if resource.group else ""
            assert {"create", "delete"} <= may[f"{resource.plural}{group} in sluice"], account
        assert {"get", "list"} <= may["pods in sluice"]
        assert "get" in may["pods/log in sluice"]


def test_workers_of_the_plain_job_find_each_other() -> None:
    service, job = (manifest for _, manifest in started("job"))
    (template,) = worker_pods("job")
    assert addresses(template) == names_of_a_job(job, service, job["spec"]["completions"])


def test_workers_started_by_hand_find_each_other() -> None:
    rendered = manifests.training("indexed_job")
    (service,), (job,), (template,) = of_kind(rendered, "Service"), of_kind(rendered, "Job"), pod_templates(rendered)
    assert job["spec"]["completions"] == job["spec"]["parallelism"]
    assert addresses(template) == names_of_a_job(job, service, job["spec"]["completions"])


@pytest.mark.parametrize("started_by", ["launcher", "hand"])
def test_workers_of_a_train_job_find_each_other(started_by: str) -> None:
    """JobSet calls a pod JOBSET-REPLICATEDJOB-JOB-INDEX, in a headless service of the JobSet's name."""
    if started_by == "launcher":
        (runtime, job), (template,) = [item for _, item in started("trainjob")], worker_pods("trainjob")
    else:
        (job,) = manifests.training("train_job")
        (runtime,) = of_kind(manifests.overlay("gke"), "ClusterTrainingRuntime")
        (template,) = pod_templates([copy.deepcopy(runtime)])
        template.spec["containers"][0]["env"] += job["spec"]["trainer"]["env"]
    name, count = job["metadata"]["name"], job["spec"]["trainer"]["numNodes"]
    assert job["spec"]["runtimeRef"]["kind"] == runtime["kind"]
    assert job["spec"]["runtimeRef"]["name"] == runtime["metadata"]["name"]
    assert addresses(template, JOBSET_NAME=name) == tuple(
        f"{name}-node-0-{index}.{name}:2222" for index in range(count)
    )


@pytest.mark.parametrize("place", [("training", "indexed_job"), ("training", "tf_job"), ("overlays", "gke")])
def test_workers_started_by_hand_run_what_the_launcher_runs(place: tuple[str, str]) -> None:
    templates = pod_templates(manifests.render(manifests.FOLDER.joinpath(*place)))
    workers = [item for item in templates if item.labels.get("app.kubernetes.io/component") == "training-worker"]
    for template in workers:
        (container,) = template.containers
        assert container["command"] == COMMAND
        assert [port["containerPort"] for port in container["ports"]] == [2222]
    assert len(workers) == 1


def test_operators_find_the_container_that_they_look_for() -> None:
    by_hand = {
        "job": manifests.training("indexed_job"),
        "trainjob": of_kind(manifests.overlay("gke"), "ClusterTrainingRuntime"),
        "tfjob": manifests.training("tf_job"),
    }
    for kind in KINDS:
        launched, (ours,) = worker_pods(kind), pod_templates(by_hand[kind])
        assert [box["name"] for box in ours.containers] == [box["name"] for box in launched[0].containers]
        assert [box["ports"][0]["name"] for box in ours.containers] == [launched[0].containers[0]["ports"][0]["name"]]


def names_of_a_job(job: Manifest, service: Manifest, count: int) -> tuple[str, ...]:
    """Return the addresses that Kubernetes gives the pods of an indexed Job: JOB-INDEX.SUBDOMAIN."""
    spec = job["spec"]["template"]["spec"]
    assert spec["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= job["spec"]["template"]["metadata"]["labels"].items()
    return tuple(f"{job['metadata']['name']}-{index}.{spec['subdomain']}:2222" for index in range(count))


def addresses(template: PodTemplate, **known: str) -> tuple[str, ...]:
    """Return where a worker looks for the others, by its environment."""
    environment = {"JOB_COMPLETION_INDEX": "1", **known}
    for variable in template.containers[0]["env"]:
        value = variable.get("value", environment.get(variable["name"], ""))
        for name, text in known.items():
            value = value.replace(f"$({name})", text)  # as the kubelet does
        environment[variable["name"]] = value
    return Cluster.from_environment(environment).addresses
