"""New versions are taken up while requests go on, broken ones are not, and stopping lets requests finish."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.served_models import Server, publish_model, running_server, write_model

ROW = {"signature_name": "raw", "instances": [{"company": "Flash", "fare": 0.0, "trip_miles": 0.0}]}
SLOW_STEPS = 300_000
counter = itertools.count(1)


@pytest.fixture(scope="module")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("taxi")


@pytest.fixture(scope="module")
def server(base_path: Path) -> Iterator[Server]:
    with running_server(base_path) as running:
        yield running


def publish_next(server: Server, base_path: Path) -> int:
    version = next(counter)
    publish_model(base_path, version, bias=float(version))
    server.wait_for(version)
    return version


def answering(server: Server) -> float:
    return server.predict(ROW).json()["predictions"][0]


def test_a_server_without_a_model_is_up_but_not_healthy(server: Server, base_path: Path) -> None:
    assert server.get("/v1/models/taxi").status_code == 404
    answer = server.predict(ROW)
    assert answer.status_code == 404
    assert answer.json()["error"].startswith("model taxi has no version that can be served in ")
    version = publish_next(server, base_path)
    assert server.get("/v1/models/taxi").status_code == 200
    assert answering(server) == version


def test_no_request_fails_while_versions_are_swapped(server: Server, base_path: Path) -> None:
    first = publish_next(server, base_path)
    body = json.dumps(ROW).encode()
    stop = threading.Event()
    answers: list[list[tuple[int, float]]] = [[] for _ in range(8)]

    def ask(mine: list[tuple[int, float]]) -> None:
        with httpx.Client(timeout=60) as client:
            while not stop.is_set():
                reply = client.post(f"{server.url}/v1/models/taxi:predict", content=body)
                mine.append((reply.status_code, reply.json().get("predictions", [-1.0])[0]))

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in answers]
    for thread in threads:
        thread.start()
    second = publish_next(server, base_path)
    third = publish_next(server, base_path)
    while sum(map(len, answers)) < 2000:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    everything = [answer for mine in answers for answer in mine]
    assert {status for status, _ in everything} == {200}
    assert {value for _, value in everything} == {first, second, third}
    for mine in answers:
        values = [value for _, value in mine]
        assert values == sorted(values), "no client went back to an older version"


def test_a_request_under_way_is_answered_by_the_version_that_took_it(server: Server, base_path: Path) -> None:
    old = publish_next(server, base_path)
    replies: list[httpx.Response] = []
    body = {"signature_name": "slow", "inputs": [SLOW_STEPS * 4]}
    thread = threading.Thread(target=lambda: replies.append(server.predict(body)))
    thread.start()
    new = publish_next(server, base_path)
    server.wait_for(old, "END")
    assert answering(server) == new
    assert not replies, "the slow request ended before the swap: it proves nothing"
    thread.join()
    assert replies[0].json() == {"outputs": [old]}


def test_a_version_that_cannot_be_loaded_is_reported_and_the_old_one_goes_on(server: Server, base_path: Path) -> None:
    good = publish_next(server, base_path)
    broken = next(counter)
    folder = write_model(base_path / ".making", float(broken))
    (folder / "saved_model.pb").write_bytes(b"\xff" * 100)
    folder.rename(base_path / str(broken))
    status = server.wait_for(broken, "END")
    assert status["status"]["error_code"] == "UNKNOWN"
    assert status["status"]["error_message"]
    assert server.get("/v1/models/taxi").status_code == 200
    assert server.get(f"/v1/models/taxi/versions/{broken}").status_code == 503
    assert answering(server) == good
    assert any(f"version {broken} cannot be loaded" in line for line in server.log)
    shutil.rmtree(base_path / str(broken))


def test_deleting_the_newest_version_goes_back(server: Server, base_path: Path) -> None:
    old = publish_next(server, base_path)
    new = publish_next(server, base_path)
    assert answering(server) == new
    shutil.rmtree(base_path / str(new))
    server.wait_for(old)
    end = time.monotonic() + 30
    while answering(server) != old and time.monotonic() < end:
        time.sleep(0.05)
    assert answering(server) == old


def test_asked_to_stop_it_finishes_what_it_began(server: Server, base_path: Path) -> None:
    version = publish_next(server, base_path)
    replies: list[httpx.Response] = []
    body = {"signature_name": "slow", "inputs": [SLOW_STEPS]}
    thread = threading.Thread(target=lambda: replies.append(server.predict(body)))
    thread.start()
    time.sleep(0.3)
    assert not replies
    server.process.send_signal(signal.SIGTERM)
    thread.join()
    assert replies[0].status_code == 200
    assert replies[0].json() == {"outputs": [version]}
    assert server.process.wait(30) == 0
    with pytest.raises(httpx.ConnectError):
        server.predict(ROW)
