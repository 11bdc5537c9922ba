"""The Trainer starts workers through the Kubernetes API, and something fails: what it says, and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.errors import ComponentError
from components.training.job import Job
from components.training.launch import cluster_api, kubernetes, launch
from tests.factories.kubernetes_api import KubernetesServer
from tests.factories.kubernetes_http import Fault
from tests.factories.training_pods import NAME, Pods, ending, left_over, untrained_job, waiting

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    found = Pods(tmp_path, monkeypatch)
    yield found
    found.close()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return untrained_job(tmp_path)


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
def test_a_right_that_is_missing_is_named_as_the_rule_to_add(job: Job, pods: Pods, method: str, plural: str, rule: str):
    cluster = pods.start()
    message = 'jobs.batch is forbidden: User "system:serviceaccount:kubeflow-user:x" cannot do this'
    cluster.faults.append(Fault(method, plural, 403, message))
    with pytest.raises(ComponentError) as error:
        launch(job)
    assert message in error.value.message
    assert rule in error.value.remedy
    assert left_over(cluster) == []


def test_a_quota_that_is_used_up_is_called_so(job: Job, pods: Pods):
    cluster = pods.start()
    cluster.faults.append(Fault("POST", "jobs", 403, 'jobs.batch "x" is forbidden: exceeded quota: small'))
    with pytest.raises(ComponentError, match="exceeded quota: small.*Raise the namespace's quota"):
        launch(job)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("status", [500, 429, 0])
def test_what_passes_is_tried_again(job: Job, pods: Pods, method: str, status: int):
    cluster = pods.start()
    cluster.faults.append(Fault(method, "jobs", status, "etcdserver: leader changed", times=2))
    launch(job)
    assert (job.serving_folder / "saved_model.pb").is_file()
    assert left_over(cluster) == []


def test_a_creation_whose_answer_was_lost_is_not_done_twice(job: Job, pods: Pods):
    cluster = pods.start()
    cluster.faults.append(Fault("POST", "jobs", 0, times=1, after=True))
    launch(job)
    assert cluster.calls.count(("POST", "jobs")) == 2
    assert cluster.calls.count(("DELETE", "jobs")) == 1  # the one at the end
    assert left_over(cluster) == []


def test_a_server_that_stays_broken_ends_the_step(job: Job, pods: Pods):
    cluster = pods.start()
    cluster.faults.append(Fault("POST", "services", 500, "etcdserver: no leader"))
    with pytest.raises(ComponentError, match=r"would not create services .*HTTP 500.*no leader"):
        launch(job)
    assert cluster.calls.count(("POST", "services")) == cluster_api.TRIES


def test_what_an_attempt_that_was_killed_left_is_replaced(job: Job, pods: Pods):
    cluster = pods.start()
    for plural in ("jobs", "services"):
        cluster.objects[plural, NAME] = {"metadata": {"name": NAME, "ownerReferences": [{"uid": "of-before"}]}}
    launch(job)
    assert (job.serving_folder / "saved_model.pb").is_file()
    assert left_over(cluster) == []


def test_an_error_of_a_worker_is_the_steps_and_its_checkpoint_stays(job: Job, pods: Pods):
    failure = {
        "message": "The loss became nan.",
        "spec_path": "training.optimizer",
        "remedy": "Lower it.",
        "peer": False,
    }
    cluster = pods.start(ending(4, lines=(json.dumps({"failure": failure}),)))
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


def test_the_last_words_of_a_container_are_found_without_its_log(job: Job, pods: Pods):
    failure = {"message": "No rows.", "spec_path": "data.split", "remedy": "Split anew.", "peer": False}
    pods.start(ending(4, message=json.dumps({"failure": failure})))
    with pytest.raises(ComponentError, match="failed: No rows") as error:
        launch(job)
    assert error.value.spec_path == "data.split"


def test_a_worker_that_ran_out_of_memory_is_blamed_not_the_one_that_missed_it(job: Job, pods: Pods):
    peer = {"message": "UnavailableError: gone", "spec_path": None, "remedy": "", "peer": True}

    def run_pod(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
        cluster.set_state(pod, "Running", running={})
        if pod["metadata"]["index"] == 0:
            cluster.say(pod, json.dumps({"failure": peer}))
            cluster.end(pod, 1, finishedAt="2026-01-01T00:00:00Z")
        else:
            time.sleep(0.25)
            cluster.end(pod, 137, reason="OOMKilled", finishedAt="2026-01-01T00:00:09Z")

    pods.start(run_pod)
    with pytest.raises(ComponentError, match=r"Worker 1 of 2 .* was killed by SIGKILL \(OOMKilled\)") as error:
        launch(job)
    assert "give resources.trainer more" in error.value.remedy


def test_an_evicted_worker_is_called_evicted(job: Job, pods: Pods):
    def run_pod(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
        cluster.set_state(pod, "Running", running={})
        if pod["metadata"]["index"] == 0:
            pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"}

    pods.start(run_pod)
    with pytest.raises(ComponentError, match=r"Worker 0 of 2 .*\(Evicted\)"):
        launch(job)


def test_an_image_that_cannot_be_pulled_is_not_waited_for(job: Job, pods: Pods):
    cluster = pods.start(waiting("ImagePullBackOff", 'Back-off pulling image "registry.example/sluice:3f2a"'))
    with pytest.raises(ComponentError, match=r"cannot start: ImagePullBackOff: Back-off pulling.*image_pull_secrets"):
        launch(job)
    assert left_over(cluster) == []


def test_a_pool_without_room_is_told_and_given_up_in_time(job: Job, pods: Pods):
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."

    def run_pod(_: KubernetesServer, pod: dict[str, Any]) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        pod["status"] = {"phase": "Pending", "conditions": [condition]}

    pods.start(run_pod)
    job.runtime["worker_start_seconds"] = 0.4
    with pytest.raises(ComponentError, match=r"did not all start: 0/3 nodes are available.*another pool") as error:
        launch(job)
    assert error.value.spec_path == "resources.trainer"
    assert "waiting for room for 2 of 2 workers: 0/3 nodes" in Path(job.runtime["progress"]).read_text()


def test_a_job_that_fails_without_pods_says_why(job: Job, pods: Pods):
    def run_pod(cluster: KubernetesServer, pod: dict[str, Any]) -> None:
        cluster.objects.pop(("pods", pod["metadata"]["name"]))
        condition = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "was active too long"}
        cluster.objects["jobs", NAME]["status"] = {"conditions": [condition]}

    pods.start(run_pod)
    with pytest.raises(ComponentError, match=f"Job {NAME} failed: DeadlineExceeded: was active too long"):
        launch(job)


def test_a_root_that_the_workers_cannot_see_is_refused_before_anything_is_made(job: Job, pods: Pods, tmp_path: Path):
    cluster = pods.start()
    job.runtime["root"] = str(tmp_path / "elsewhere")
    with pytest.raises(ComponentError, match=r"elsewhere is on no volume of the Trainer's pod.*s3://") as error:
        launch(job)
    assert error.value.spec_path == "resources.trainer.volumes"
    assert cluster.made == {}


def test_a_pod_without_a_token_and_a_process_outside_are_told_so(job: Job, pods: Pods, monkeypatch: pytest.MonkeyPatch):
    cluster = pods.start()
    (cluster.account / "token").write_text("another")
    with pytest.raises(ComponentError, match="HTTP 401.*token is not accepted"):
        launch(job)
    (cluster.account / "token").unlink()
    with pytest.raises(ComponentError, match="has no token in .*automountServiceAccountToken: true"):
        launch(job)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(ComponentError, match="does not run in a pod"):
        kubernetes.run(job, 2)


def test_a_trainer_that_is_ended_takes_its_workers_along(job: Job, pods: Pods, tmp_path: Path):
    cluster = pods.start(lambda cluster, pod: cluster.set_state(pod, "Running", running={}))
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
