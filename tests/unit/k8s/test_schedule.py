"""The CronJob starts what Sluice's command line takes, and reads its exit codes as Sluice means them."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, timedelta
from typing import Any

import croniter
import pytest

from pipelines import cli
from tests.unit.k8s import manifests
from tests.unit.k8s.manifests import of_kind


@pytest.fixture
def cron() -> dict[str, Any]:
    (found,) = of_kind(manifests.overlay("local"), "CronJob")
    return found["spec"]


def test_it_fires_nightly_in_its_time_zone(cron: dict[str, Any]) -> None:
    start = datetime(2026, 3, 27, tzinfo=zoneinfo.ZoneInfo(cron["timeZone"]))
    times = croniter.croniter(cron["schedule"], start)
    fired = [times.get_next(datetime) for _ in range(4)]  # over the night in which clocks change
    assert [(when.day, when.hour) for when in fired] == [(27, 3), (28, 3), (29, 3), (30, 3)]


def test_two_runs_never_meet(cron: dict[str, Any]) -> None:
    assert cron["concurrencyPolicy"] == "Forbid"
    job = cron["jobTemplate"]["spec"]
    night = timedelta(hours=24).total_seconds()
    assert cron["startingDeadlineSeconds"] + job["activeDeadlineSeconds"] < night


def test_the_command_line_takes_it(cron: dict[str, Any]) -> None:
    program, *arguments = cron["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert program == "sluice"
    name, command, rest = cli.cli.resolve_command(cli.cli.make_context("sluice", list(arguments)), list(arguments))
    assert name == "run"
    assert command.make_context(name, list(rest)).params["root"] is not None


def test_only_a_failed_component_is_tried_again(cron: dict[str, Any]) -> None:
    job = cron["jobTemplate"]["spec"]
    by_action = {rule["action"]: rule for rule in job["podFailurePolicy"]["rules"]}
    final = by_action["FailJob"]["onExitCodes"]
    containers = job["template"]["spec"]["containers"]
    assert final["containerName"] in {container["name"] for container in containers}
    assert final["values"] == [2, 3]  # a bad spec, a blocked gate; 4 is a component that failed
    assert by_action["Ignore"]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # a pod failure policy needs it
    assert job["backoffLimit"] > 0
