"""The Trainer starts workers through the Kubernetes API: what it makes there, what it passes on, what it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from components.errors import ComponentError
from components.training.job import Job
from components.training.launch import launch
from components.training.launch.processes import free_ports
from tests.factories.kubernetes_api import as_processes
from tests.factories.kubernetes_http import Fault
from tests.factories.trainer_artifacts import job_arguments, make_artifacts
from tests.factories.training_pods import NAME, Pods, left_over, untrained_job

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    found = Pods(tmp_path, monkeypatch)
    yield found
    found.close()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return untrained_job(tmp_path)


def test_two_real_workers_train_as_an_indexed_job(tmp_path: Path, pods: Pods):
    cluster = pods.start(as_processes(free_ports(2)))
    artifacts = make_artifacts(tmp_path / "taxi", "binary_classification", rows=3000)
    training = {"epochs": 3, "batch_size": 128, "strategy": "multi_worker", "tensorboard": False}
    training["optimizer"] = {"adam": {"learning_rate": 0.01}}
    given = job_arguments(artifacts, tmp_path / "output", {"family": "mlp"}, training)
    given["runtime"] |= {
        "root": str(tmp_path / "shared" / "taxi"),
        "trainer_key": "0123456789abcdef",
        "workers": 2,
        "launcher": "kubernetes",
        "progress": str(tmp_path / "progress.jsonl"),
    }
    launch(Job(**given))
    history = json.loads((tmp_path / "output" / "run" / "history.json").read_text())
    assert history["epochs"][-1]["val_auc"] > 0.85
    assert (tmp_path / "output" / "model" / "Format-Serving" / "saved_model.pb").is_file()
    assert "epoch 3/3, val_" in (tmp_path / "progress.jsonl").read_text()
    assert left_over(cluster) == []
    assert not (tmp_path / "shared" / "taxi" / "multi-worker" / "0123456789abcdef").exists()


def test_the_job_looks_like_the_trainers_pod_and_belongs_to_it(job: Job, pods: Pods):
    cluster = pods.start()
    launch(job)
    made = cluster.made["jobs"]
    assert made["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "taxi-x7-trainer", "uid": "0f6c"}
    ]
    spec = made["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 2)
    assert spec["backoffLimit"] == 0
    pod = spec["template"]["spec"]
    assert pod["subdomain"] == cluster.made["services"]["metadata"]["name"] == NAME
    assert pod["restartPolicy"] == "Never"
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "sluice-trainer"
    assert pod["nodeSelector"] == {"pool": "small"}
    (container,) = pod["containers"]
    assert container["image"] == "registry.example/sluice:3f2a"
    assert container["command"] == ["python", "-m", "components.training.worker"]
    assert container["resources"] == {"requests": {"cpu": "500m"}}
    environment = {each["name"]: each.get("value") for each in container["env"]}
    assert environment.keys() == {
        "AWS_ACCESS_KEY_ID",
        "SLUICE_JOB",
        "SLUICE_WORKERS",
        "SLUICE_WORKER_HOSTS",
        "SLUICE_WORKER_PORT",
    }
    assert environment["SLUICE_WORKER_HOSTS"] == f"{NAME}-{{index}}.{NAME}"
    assert {each["name"] for each in container["volumeMounts"]} == {"data", "tmp"}
    assert {each["name"] for each in pod["volumes"]} == {"data", "tmp"}
    service = cluster.made["services"]["spec"]
    assert service["clusterIP"] == "None"
    assert service["publishNotReadyAddresses"] is True
    assert service["selector"].items() <= spec["template"]["metadata"]["labels"].items()


def test_what_the_workers_get_of_their_own_replaces_the_trainers_small_machine(job: Job, pods: Pods):
    cluster = pods.start()
    gpu = {"nvidia.com/gpu": "1"}
    job.runtime["worker_pod"] = {
        "metadata": {"labels": {"kueue.x-k8s.io/queue-name": "gpus"}, "annotations": {"a": "b"}},
        "spec": {
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "volumes": [{"name": "shared-memory", "emptyDir": {"medium": "Memory"}}],
            "containers": [
                {
                    "name": "worker",
                    "resources": {"requests": gpu, "limits": gpu},
                    "env": [{"name": "NCCL_DEBUG", "value": "WARN"}],
                    "volumeMounts": [{"name": "shared-memory", "mountPath": "/dev/shm"}],
                }
            ],
        },
    }
    launch(job)
    template = cluster.made["jobs"]["spec"]["template"]
    pod, container = template["spec"], template["spec"]["containers"][0]
    assert "nodeSelector" not in pod
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert container["resources"] == {"requests": gpu, "limits": gpu}
    assert container["image"] == "registry.example/sluice:3f2a"
    assert {"NCCL_DEBUG", "AWS_ACCESS_KEY_ID"} <= {each["name"] for each in container["env"]}
    assert {each["name"] for each in pod["volumes"]} == {"data", "tmp", "shared-memory"}
    assert cluster.made["jobs"]["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert template["metadata"]["annotations"] == {"a": "b"}


def test_logs_and_progress_come_through_once(job: Job, pods: Pods, capsys: pytest.CaptureFixture[str]):
    cluster = pods.start()
    launch(job)
    lines = [line for line in capsys.readouterr().out.splitlines() if "line" in line]
    assert sorted(lines) == [f"worker {worker}: line {line} of {worker}" for worker in (0, 1) for line in range(3)]
    texts = [json.loads(line)["text"] for line in Path(job.runtime["progress"]).read_text().splitlines()]
    assert texts.count("epoch 1/1, val_auc 0.9") == 1
    assert (job.serving_folder / "saved_model.pb").read_text() == "a model"
    assert left_over(cluster) == []
    assert not Path(job.runtime["root"], "multi-worker", job.runtime["trainer_key"]).exists()


def test_with_kubeflow_trainer_it_is_a_train_job_of_a_copy_of_the_clusters_runtime(job: Job, pods: Pods):
    cluster = pods.start(operators={"trainer.kubeflow.org"})
    node = {"spec": {"schedulerName": "coscheduling", "containers": [{"name": "node", "image": "placeholder"}]}}
    runtime = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": "sluice-tensorflow", "labels": {"trainer.kubeflow.org/framework": "tensorflow"}},
        "spec": {
            "mlPolicy": {"numNodes": 1},
            "template": {
                "spec": {
                    "replicatedJobs": [
                        {
                            "name": "node",
                            "template": {
                                "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                                "spec": {"backoffLimit": 0, "template": node},
                            },
                        }
                    ]
                }
            },
        },
    }
    cluster.objects["clustertrainingruntimes", "sluice-tensorflow"] = runtime
    launch(job)
    assert "jobs" not in cluster.made
    copied = cluster.made["trainingruntimes"]
    assert copied["metadata"]["labels"]["trainer.kubeflow.org/framework"] == "tensorflow"
    assert copied["spec"]["mlPolicy"] == {"numNodes": 2}
    replicated = copied["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]
    assert replicated["metadata"]["labels"] == {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}
    pod = replicated["spec"]["template"]["spec"]
    assert pod["schedulerName"] == "coscheduling"
    assert "subdomain" not in pod
    environment = {each["name"]: each.get("value") for each in pod["containers"][0]["env"]}
    assert pod["containers"][0]["name"] == "node"
    assert environment["SLUICE_WORKER_HOSTS"] == f"{NAME}-node-0-{{index}}.{NAME}"
    assert cluster.made["trainjobs"]["spec"] == {
        "runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": NAME},
        "trainer": {"numNodes": 2},
    }
    assert left_over(cluster) == []


def test_the_older_operators_tf_job_comes_when_it_is_asked_for(job: Job, pods: Pods):
    cluster = pods.start(operators={"kubeflow.org"})
    job.runtime["worker_kind"] = "tfjob"
    launch(job)
    worker = cluster.made["tfjobs"]["spec"]["tfReplicaSpecs"]["Worker"]
    assert worker["replicas"] == 2
    (container,) = worker["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow"
    assert container["ports"][0]["name"] == "tfjob-port"
    # The operator says who is who in TF_CONFIG.
    assert "SLUICE_WORKER_HOSTS" not in {each["name"] for each in container["env"]}
    assert left_over(cluster) == []


@pytest.mark.parametrize("status", [404, 403])
def test_without_the_runtime_it_is_an_indexed_job(job: Job, pods: Pods, status: int):
    cluster = pods.start(operators={"trainer.kubeflow.org"})
    cluster.faults.append(Fault("GET", "clustertrainingruntimes", status, "no"))
    launch(job)
    assert cluster.made.keys() == {"services", "jobs"}
    job.runtime["worker_kind"] = "trainjob"
    with pytest.raises(ComponentError, match=f"would not get clustertrainingruntimes.*HTTP {status}"):
        launch(job)


def test_the_role_that_ships_allows_every_call_that_was_made(job: Job, pods: Pods):
    """The rules in k8s/ against the calls of a whole training; logs are pods/log there."""
    cluster = pods.start()
    launch(job)
    verbs = {"GET": {"get", "list"}, "POST": {"create"}, "DELETE": {"delete"}}
    allowed = set()
    for file in (REPOSITORY / "k8s").rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            if document and document.get("kind") in {"Role", "ClusterRole"}:
                for rule in document["rules"]:
                    for resource in rule["resources"]:
                        allowed |= {(verb, resource.removeprefix("pods/")) for verb in rule["verbs"]}
    for method, plural in set(cluster.calls) - {("GET", "clustertrainingruntimes")}:
        assert any((verb, plural) in allowed for verb in verbs[method]), (method, plural)
