"""A webhook is told how a run ended: against a real receiver."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from components.errors import ComponentError
from pipelines import notify
from pipelines.notify import NotifyConfig, message, send
from tests.factories.webhook import Receiver

BLOCKED = {
    "pipeline": "taxi",
    "run_id": "r1",
    "status": "blocked",
    "verdict": {"reasons": ["auc is 0.6, below 0.8"]},
    "pushed": None,
    "failure": None,
}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(notify, "_AGAIN_AFTER_SECONDS", (0.01, 0.01))
    started: list[Receiver] = []

    def start(*answers: int) -> Receiver:
        started.append(Receiver(list(answers)))
        return started[-1]

    yield start
    for each in started:
        each.server.shutdown()
        each.server.server_close()


def test_a_blocked_run_is_told_with_its_reasons(receiver: Any):
    server = receiver(200)
    assert send(NotifyConfig(webhook=server.url), message(BLOCKED))
    (got,) = server.received
    assert got["text"] == "taxi: blocked: auc is 0.6, below 0.8"
    assert (got["status"], got["reasons"], got["pushed"]) == ("blocked", ["auc is 0.6, below 0.8"], None)


def test_only_the_ends_that_are_asked_for_are_told(receiver: Any):
    server = receiver(200)
    assert not send(NotifyConfig(webhook=server.url, on=("failed",)), message(BLOCKED))
    assert server.received == []


def test_a_server_that_does_not_answer_in_time_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notify, "_AGAIN_AFTER_SECONDS", ())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = NotifyConfig(webhook=f"http://127.0.0.1:{silent.getsockname()[1]}/hook", timeout_seconds=0.1)
        with pytest.raises(ComponentError, match="timed out"):
            send(config, message(BLOCKED))


def test_a_server_in_trouble_is_asked_again(receiver: Any):
    server = receiver(503, 429, 200)
    assert send(NotifyConfig(webhook=server.url), message(BLOCKED))
    assert len(server.received) == 3


@pytest.mark.parametrize(("code", "requests"), [(404, 1), (500, 3)])
def test_a_server_that_refuses_is_an_error_that_says_so(receiver: Any, code: int, requests: int):
    server = receiver(code)
    with pytest.raises(ComponentError, match=f"answered {code}"):
        send(NotifyConfig(webhook=server.url), message(BLOCKED))
    assert len(server.received) == requests


def test_the_url_can_be_a_secret_of_the_environment(receiver: Any, monkeypatch: pytest.MonkeyPatch):
    server = receiver(200)
    config = NotifyConfig(webhook_env="TEAM_WEBHOOK")
    with pytest.raises(ComponentError, match="TEAM_WEBHOOK does not hold a URL"):
        send(config, message(BLOCKED))
    monkeypatch.setenv("TEAM_WEBHOOK", server.url)
    assert send(config, message(BLOCKED))


def test_a_push_is_told_with_its_version():
    pushed = {**BLOCKED, "status": "pushed", "verdict": {"reasons": []}, "pushed": {"version": 7, "destination": "x"}}
    assert message(pushed)["text"] == "taxi: pushed, version 7 is served"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({}, "give either webhook"),
        ({"webhook": "https://a", "webhook_env": "B"}, "give either webhook"),
        ({"webhook": "slack"}, "a webhook is a URL"),
    ],
)
def test_a_notification_without_one_address_is_refused(written: dict[str, str], told: str):
    with pytest.raises(ValidationError, match=told):
        NotifyConfig.model_validate(written)
