"""The Trainer starts workers through the Kubernetes API: what it makes, what it says of failures, what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.errors import ComponentError
from components.training.launch import cluster_api, kubernetes, launch
from components.training.launch.processes import free_ports
from components.training.run_fn import Job
from tests.factories.kubernetes_api import KubernetesServer, as_processes
from tests.factories.kubernetes_http import NAMESPACE, Fault
from tests.factories.trainer_artifacts import job_arguments, make_artifacts

REPOSITORY = Path(__file__).parents[2]
NAME = "sluice-train-0123456789"
RunPod = Callable[[KubernetesServer, dict[str, Any]], None]


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


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., KubernetesServer]]:
    """Return a function that starts the server and makes this process one of its pods."""
    servers = []

    def start(run_pod: RunPod = finished, **options: Any) -> KubernetesServer:
        cluster = KubernetesServer(tmp_path, run_pod, **options).__enter__()
        servers.append(cluster)
        cluster.objects["pods", "taxi-x7-trainer"] = own_pod(tmp_path / "shared")
        monkeypatch.setattr(cluster_api, "SERVICE_ACCOUNT", cluster.account)
        monkeypatch.setattr(cluster_api, "FIRST_WAIT_SECONDS", 0.01)
        monkeypatch.setattr(kubernetes, "POLL_SECONDS", 0.1)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(cluster.port))
        monkeypatch.setenv("HOSTNAME", "taxi-x7-trainer")
        monkeypatch.delenv("POD_NAME", raising=False)
        return cluster

    yield start
    for cluster in servers:
        cluster.__exit__()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Return a job whose folders hold something, for pods that do not train."""
    given = {}
    for name in ("train_folder", "eval_folder", "transform_graph", "raw_folder"):
        given[name] = tmp_path / "inputs" / name
        given[name].mkdir(parents=True)
        (given[name] / "part").write_text(name)
    output = tmp_path / "output"
    runtime = {
        "root": str(tmp_path / "shared" / "taxi"),
        "trainer_key": "0123456789abcdef",
        "workers": 2,
        "launcher": "kubernetes",
        "progress": str(tmp_path / "progress.jsonl"),
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


def test_two_real_workers_train_as_an_indexed_job(tmp_path: Path, started: Callable[..., KubernetesServer]):
    cluster = started(as_processes(free_ports(2)))
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


def test_the_job_looks_like_the_trainers_pod_and_belongs_to_it(job: Job, started: Callable[..., KubernetesServer]):
    cluster = started()
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


def test_what_the_workers_get_of_their_own_replaces_the_trainers_small_machine(
    job: Job, started: Callable[..., KubernetesServer]
):
    cluster = started()
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


def test_logs_and_progress_come_through_once(
    job: Job, started: Callable[..., KubernetesServer], capsys: pytest.CaptureFixture[str]
):
    cluster = started()
    launch(job)
    lines = [line for line in capsys.readouterr().out.splitlines() if "line" in line]
    assert sorted(lines) == [f"worker {worker}: line {line} of {worker}" for worker in (0, 1) for line in range(3)]
    texts = [json.loads(line)["text"] for line in Path(job.runtime["progress"]).read_text().splitlines()]
    assert texts.count("epoch 1/1, val_auc 0.9") == 1
    assert (job.serving_folder / "saved_model.pb").read_text() == "a model"
    assert left_over(cluster) == []
    assert not Path(job.runtime["root"], "multi-worker", job.runtime["trainer_key"]).exists()


def test_with_kubeflow_trainer_it_is_a_train_job_of_a_copy_of_the_clusters_runtime(
    job: Job, started: Callable[..., KubernetesServer]
):
    cluster = started(operators={"trainer.kubeflow.org"})
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


def test_the_older_operators_tf_job_comes_when_it_is_asked_for(job: Job, started: Callable[..., KubernetesServer]):
    cluster = started(operators={"kubeflow.org"})
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
def test_without_the_runtime_it_is_an_indexed_job(job: Job, started: Callable[..., KubernetesServer], status: int):
    cluster = started(operators={"trainer.kubeflow.org"})
    cluster.faults.append(Fault("GET", "clustertrainingruntimes", status, "no"))
    launch(job)
    assert cluster.made.keys() == {"services", "jobs"}
    job.runtime["worker_kind"] = "trainjob"
    with pytest.raises(ComponentError, match=f"would not get clustertrainingruntimes.*HTTP {status}"):
        launch(job)


@pytest.mark.parametrize(
    ("method", "plural", "rule"),
    [
        ("GET", "pods", '{apiGroups: [""], resources: [pods], verbs: [get]}'),
        ("POST", "services", '{apiGroups: [""], resources: [services], verbs: [create]}'),
        ("POST", "jobs", '{apiGroups: ["batch"], resources: [jobs], verbs: [create]}'),
        ("GET", "jobs", '{apiGroups: ["batch"], resources: [jobs], verbs: [get]}'),
        ("GET", "log", '{apiGroups: [""], resources: [pods/log], verbs: [get]}'),
    ],
)
def test_a_right_that_is_missing_is_named_as_the_rule_to_add(
    job: Job, started: Callable[..., KubernetesServer], method: str, plural: str, rule: str
):
    cluster = started()
    message = 'jobs.batch is forbidden: User "system:serviceaccount:kubeflow-user:x" cannot do this'
    cluster.faults.append(Fault(method, plural, 403, message))
    with pytest.raises(ComponentError) as error:
        launch(job)
    assert message in error.value.message
    assert rule in error.value.remedy
    assert left_over(cluster) == []


def test_a_quota_that_is_used_up_is_called_so(job: Job, started: Callable[..., KubernetesServer]):
    cluster = started()
    cluster.faults.append(Fault("POST", "jobs", 403, 'jobs.batch "x" is forbidden: exceeded quota: small'))
    with pytest.raises(ComponentError, match="exceeded quota: small.*Raise the namespace's quota"):
        launch(job)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("status", [500, 429, 0])
def test_what_passes_is_tried_again(job: Job, started: Callable[..., KubernetesServer], method: str, status: int):
    cluster = started()
    cluster.faults.append(Fault(method, "jobs", status, "etcdserver: leader changed", times=2))
    launch(job)
    assert (job.serving_folder / "saved_model.pb").is_file()
    assert left_over(cluster) == []


def test_a_creation_whose_answer_was_lost_is_not_done_twice(job: Job, started: Callable[..., KubernetesServer]):
    cluster = started()
    cluster.faults.append(Fault("POST", "jobs", 0, times=1, after=True))
    launch(job)
    assert cluster.calls.count(("POST", "jobs")) == 2
    assert cluster.calls.count(("DELETE", "jobs")) == 1  # the one at the end
    assert left_over(cluster) == []


def test_a_server_that_stays_broken_ends_the_step(job: Job, started: Callable[..., KubernetesServer]):
    cluster = started()
    cluster.faults.append(Fault("POST", "services", 500, "etcdserver: no leader"))
    with pytest.raises(ComponentError, match=r"would not create services .*HTTP 500.*no leader"):
        launch(job)
    assert cluster.calls.count(("POST", "services")) == cluster_api.TRIES


def test_what_an_attempt_that_was_killed_left_is_replaced(job: Job, started: Callable[..., KubernetesServer]):
    cluster = started()
    for plural in ("jobs", "services"):
        cluster.objects[plural, NAME] = {"metadata": {"name": NAME, "ownerReferences": [{"uid": "of-before"}]}}
    launch(job)
    assert (job.serving_folder / "saved_model.pb").is_file()
    assert left_over(cluster) == []


def ending(code: int, index: int = 1, lines: tuple[str, ...] = (), **more: Any) -> RunPod:
    """Return a kubelet under which one worker fails while the other would go on for ever."""

    def run_pod(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
        cluster.set_state(pod, "Running", running={})
        if pod["metadata"]["index"] == index:
            for line in lines:
                cluster.say(pod, line)
            cluster.end(pod, code, **more)

    return run_pod


def test_an_error_of_a_worker_is_the_steps_and_its_checkpoint_stays(job: Job, started: Callable[..., KubernetesServer]):
    failure = {
        "message": "The loss became nan.",
        "spec_path": "training.optimizer",
        "remedy": "Lower it.",
        "peer": False,
    }
    cluster = started(ending(4, lines=(json.dumps({"failure": failure}),)))
    exchange = Path(job.runtime["root"], "multi-worker", job.runtime["trainer_key"])
    (exchange / "checkpoint").mkdir(parents=True)
    (exchange / "checkpoint" / "last_epoch.npz").write_text("epoch 7")
    with pytest.raises(
        ComponentError, match=rf"Worker 1 of 2 \(pod {NAME}-1-\w+\) failed: The loss became nan"
    ) as error:
        launch(job)
    assert (error.value.spec_path, error.value.remedy) == ("training.optimizer", "Lower it.")
    assert left_over(cluster) == []
    assert [path.name for path in exchange.rglob("*") if path.is_file() and path.name != "job.json"] == [
        "last_epoch.npz"
    ]


def test_the_last_words_of_a_container_are_found_without_its_log(job: Job, started: Callable[..., KubernetesServer]):
    failure = {"message": "No rows.", "spec_path": "data.split", "remedy": "Split anew.", "peer": False}
    started(ending(4, message=json.dumps({"failure": failure})))
    with pytest.raises(ComponentError, match="failed: No rows") as error:
        launch(job)
    assert error.value.spec_path == "data.split"


def test_a_worker_that_ran_out_of_memory_is_blamed_not_the_one_that_missed_it(
    job: Job, started: Callable[..., KubernetesServer]
):
    peer = {"message": "UnavailableError: gone", "spec_path": None, "remedy": "", "peer": True}

    def run_pod(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
        cluster.set_state(pod, "Running", running={})
        if pod["metadata"]["index"] == 0:
            cluster.say(pod, json.dumps({"failure": peer}))
            cluster.end(pod, 1, finishedAt="2026-01-01T00:00:00Z")
        else:
            time.sleep(0.25)
            cluster.end(pod, 137, reason="OOMKilled", finishedAt="2026-01-01T00:00:09Z")

    started(run_pod)
    with pytest.raises(ComponentError, match=r"Worker 1 of 2 .* was killed by SIGKILL \(OOMKilled\)") as error:
        launch(job)
    assert "give resources.trainer more" in error.value.remedy


def test_an_evicted_worker_is_called_evicted(job: Job, started: Callable[..., KubernetesServer]):
    def run_pod(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
        cluster.set_state(pod, "Running", running={})
        if pod["metadata"]["index"] == 0:
            pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"}

    started(run_pod)
    with pytest.raises(ComponentError, match=r"Worker 0 of 2 .*\(Evicted\)"):
        launch(job)


def waiting(reason: str, message: str) -> RunPod:
    return lambda cluster, pod: cluster.set_state(pod, "Pending", waiting={"reason": reason, "message": message})


def test_an_image_that_cannot_be_pulled_is_not_waited_for(job: Job, started: Callable[..., KubernetesServer]):
    cluster = started(waiting("ImagePullBackOff", 'Back-off pulling image "registry.example/sluice:3f2a"'))
    with pytest.raises(ComponentError, match=r"cannot start: ImagePullBackOff: Back-off pulling.*image_pull_secrets"):
        launch(job)
    assert left_over(cluster) == []


def test_a_pool_without_room_is_told_and_given_up_in_time(job: Job, started: Callable[..., KubernetesServer]):
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."

    def run_pod(_: KubernetesServer, pod: dict[str, Any]) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        pod["status"] = {"phase": "Pending", "conditions": [condition]}

    started(run_pod)
    job.runtime["worker_start_seconds"] = 0.4
    with pytest.raises(ComponentError, match=r"did not all start: 0/3 nodes are available.*another pool") as error:
        launch(job)
    assert error.value.spec_path == "resources.trainer"
    assert "waiting for room for 2 of 2 workers: 0/3 nodes" in Path(job.runtime["progress"]).read_text()


def test_a_job_that_fails_without_pods_says_why(job: Job, started: Callable[..., KubernetesServer]):
    def run_pod(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
        cluster.objects.pop(("pods", pod["metadata"]["name"]))
        condition = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "was active too long"}
        cluster.objects["jobs", NAME]["status"] = {"conditions": [condition]}

    started(run_pod)
    with pytest.raises(ComponentError, match=f"Job {NAME} failed: DeadlineExceeded: was active too long"):
        launch(job)


def test_a_root_that_the_workers_cannot_see_is_refused_before_anything_is_made(
    job: Job, started: Callable[..., KubernetesServer], tmp_path: Path
):
    cluster = started()
    job.runtime["root"] = str(tmp_path / "elsewhere")
    with pytest.raises(ComponentError, match=r"elsewhere is on no volume of the Trainer's pod.*s3://") as error:
        launch(job)
    assert error.value.spec_path == "resources.trainer.volumes"
    assert cluster.made == {}


def test_a_pod_without_a_token_and_a_process_outside_are_told_so(
    job: Job, started: Callable[..., KubernetesServer], monkeypatch: pytest.MonkeyPatch
):
    cluster = started()
    (cluster.account / "token").write_text("another")
    with pytest.raises(ComponentError, match="HTTP 401.*token is not accepted"):
        launch(job)
    (cluster.account / "token").unlink()
    with pytest.raises(ComponentError, match="has no token in .*automountServiceAccountToken: true"):
        launch(job)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(ComponentError, match="does not run in a pod"):
        kubernetes.run(job, 2)


def test_a_trainer_that_is_ended_takes_its_workers_along(
    job: Job, started: Callable[..., KubernetesServer], tmp_path: Path
):
    cluster = started(lambda cluster, pod: cluster.set_state(pod, "Running", running={}))
    from components.training.exchange import _as_json

    (tmp_path / "job.json").write_text(json.dumps({**_as_json(job), "runtime": job.runtime}))
    program = """
import sys, json
from pathlib import Path
from components.training.launch import cluster_api, launch
from components.training.exchange import _of_json
cluster_api.SERVICE_ACCOUNT = Path(sys.argv[2])
launch(_of_json(json.loads(Path(sys.argv[1]).read_text())))
"""
    trainer = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "job.json"), str(cluster.account)],
        cwd=REPOSITORY,
        env=dict(os.environ),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while ("jobs", NAME) not in cluster.objects and time.monotonic() < deadline and trainer.poll() is None:
        time.sleep(0.05)
    assert ("jobs", NAME) in cluster.objects
    trainer.send_signal(signal.SIGTERM)
    said = trainer.communicate(timeout=30)[1]
    assert trainer.returncode == 1
    assert "The run was ended from outside" in said
    assert left_over(cluster) == []


def test_the_role_that_ships_allows_every_call_that_was_made(job: Job, started: Callable[..., KubernetesServer]):
    """The rules in k8s/ against the calls of a whole training; logs are pods/log there."""
    cluster = started()
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
