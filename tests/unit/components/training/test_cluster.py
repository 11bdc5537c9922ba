"""Who a worker is by its environment, and waiting for the others."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from components.errors import ComponentError
from components.training.cluster import Cluster
from components.training.launch.processes import free_ports
from components.training.worker import wait_for_others


def test_an_indexed_job_tells_each_pod_its_number_and_all_names():
    given = {
        "SLUICE_WORKERS": "3",
        "SLUICE_WORKER_HOSTS": "train-{index}.train.ns.svc",
        "SLUICE_WORKER_PORT": "5000",
        "JOB_COMPLETION_INDEX": "2",
    }
    cluster = Cluster.from_environment(given)
    assert json.loads(cluster.tf_config()) == {
        "cluster": {"worker": [f"train-{index}.train.ns.svc:5000" for index in range(3)]},
        "task": {"type": "worker", "index": 2},
    }
    assert not cluster.is_chief
    assert Cluster.from_environment({**given, "SLUICE_WORKER_INDEX": "0"}).is_chief


@pytest.mark.parametrize(("kind", "index", "number"), [("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)])
def test_tf_config_wins_and_its_chief_is_worker_0(kind: str, index: int, number: int):
    named = {"chief": ["c:1"], "worker": ["w:1", "w:2"]}
    text = json.dumps({"cluster": named, "task": {"type": kind, "index": index}})
    cluster = Cluster.from_environment({"TF_CONFIG": text, "SLUICE_WORKERS": "9"})
    assert cluster == Cluster(("c:1", "w:1", "w:2"), number)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "SLUICE_WORKERS of this worker is ''; expected a whole number from 1"),
        ({"SLUICE_WORKERS": "two"}, "SLUICE_WORKERS of this worker is 'two'"),
        ({"SLUICE_WORKERS": "2"}, "SLUICE_WORKER_HOSTS of this worker is ''; expected a host name with {index}"),
        ({"SLUICE_WORKERS": "2", "SLUICE_WORKER_HOSTS": "a-{index}"}, "JOB_COMPLETION_INDEX of this worker is ''"),
        (
            {"SLUICE_WORKERS": "2", "SLUICE_WORKER_HOSTS": "a-{index}", "JOB_COMPLETION_INDEX": "2"},
            "index 2, and there are 2 workers",
        ),
        ({"TF_CONFIG": "{"}, "TF_CONFIG of this worker is '{'; expected JSON like"),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}'}, "task type 'ps'"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named(given: dict[str, str], message: str):
    with pytest.raises(ComponentError) as error:
        Cluster.from_environment(given)
    assert message in error.value.message
    assert error.value.remedy


def test_workers_wait_for_each_other_before_tensorflow_does():
    addresses = tuple(f"localhost:{port}" for port in free_ports(3))
    found: list[int] = []

    def come(index: int) -> None:
        time.sleep(0.2 * index)
        wait_for_others(Cluster(addresses, index), 20)
        found.append(index)
        # As TensorFlow's server does, it answers from now on.
        held.append(socket.create_server(("localhost", int(addresses[index].rpartition(":")[2]))))

    held: list[socket.socket] = []
    threads = [threading.Thread(target=come, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in held:
        each.close()
    assert sorted(found) == [0, 1, 2]


def test_a_worker_whose_others_do_not_come_names_them():
    own, closed = free_ports(2)
    cluster = Cluster((f"localhost:{own}", f"localhost:{closed}", "nobody.invalid:2222"), 0)
    with pytest.raises(ComponentError) as error:
        wait_for_others(cluster, 0.3)
    assert f"No answer from localhost:{closed} (Connection refused), nobody.invalid:2222 (the name" in str(error.value)
    with socket.create_server(("", own)), pytest.raises(ComponentError, match=f"Port {own} of this worker cannot be"):
        wait_for_others(cluster, 0.3)
