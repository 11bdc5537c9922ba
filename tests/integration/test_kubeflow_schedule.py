"""Schedules on Kubeflow's recurring runs, against a real HTTP server: what it is told, and that it is told once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from components.errors import SpecError
from pipelines.kubeflow.settings import KubeflowSettings
from pipelines.schedule.config import ScheduleConfig
from pipelines.schedule.kubeflow import apply_schedule, delete_schedule, list_schedules, set_enabled
from tests.factories.kubeflow_http import Fault, serving
from tests.factories.kubeflow_pipelines import written_pipeline
from tests.factories.kubeflow_server import KubeflowServer

NIGHTLY = ScheduleConfig(cron="0 3 * * *")


@pytest.fixture
def server() -> Iterator[KubeflowServer]:
    with serving(KubeflowServer()) as state:
        yield state


def settings(server: KubeflowServer, **more: Any) -> KubeflowSettings:
    return KubeflowSettings(server.host, timeout_seconds=0.4, backoff_seconds=0.01, **more)


def changes(server: KubeflowServer) -> list[tuple[str, str]]:
    """What the server was told about schedules, in order: method and the end of the path."""
    told = [each for each in server.seen if "recurringruns" in each.path and each.method != "GET"]
    return [(each.method, each.path.rpartition(":")[2] if ":" in each.path else "") for each in told]


def test_a_schedule_becomes_a_recurring_run_of_an_immutable_version(server: KubeflowServer) -> None:
    schedule = ScheduleConfig(
        cron="30 3 * * mon-fri",
        catch_up=True,
        max_concurrency=3,
        start=datetime(2027, 1, 1),
        end=datetime.fromisoformat("2027-12-31T12:00:00+01:00"),
    )
    options = settings(server, service_account="trainer", pipeline_root="s3://artifacts")
    said = apply_schedule(schedule, options, written_pipeline(), parameters={"epochs": 2})

    (told,) = server.asked("POST", "recurringruns$")
    assert told.body == {
        "display_name": "taxi",
        "description": told.body["description"],
        "experiment_id": server.experiments[0]["experiment_id"],
        "pipeline_version_reference": {
            "pipeline_id": server.pipelines[0]["pipeline_id"],
            "pipeline_version_id": server.versions[0]["pipeline_version_id"],
        },
        "runtime_config": {"parameters": {"epochs": 2}, "pipeline_root": "s3://artifacts"},
        "service_account": "trainer",
        "max_concurrency": "3",
        "no_catchup": False,
        "mode": "ENABLE",
        "trigger": {
            "cron_schedule": {
                "cron": "0 30 3 * * 1,2,3,4,5",
                "start_time": "2027-01-01T00:00:00+00:00",
                "end_time": "2027-12-31T11:00:00+00:00",
            }
        },
    }
    assert "Sluice" in told.body["description"]
    assert said.startswith("schedule taxi: created · 0 30 3 * * 1,2,3,4,5 (seconds first, UTC) · taxi-")


def test_applying_the_same_again_does_nothing(server: KubeflowServer) -> None:
    for _ in range(3):
        said = apply_schedule(NIGHTLY, settings(server), written_pipeline())
    assert changes(server) == [("POST", "")]
    assert "unchanged" in said
    assert len(server.versions) == 1


@pytest.mark.parametrize(
    ("schedule", "image", "parameters"),
    [
        (ScheduleConfig(cron="0 4 * * *"), "sluice:1", {}),
        (NIGHTLY, "sluice:2", {}),
        (NIGHTLY, "sluice:1", {"epochs": 9}),
        (ScheduleConfig(cron="0 3 * * *", max_concurrency=2), "sluice:1", {}),
        (ScheduleConfig(cron="0 3 * * *", catch_up=True), "sluice:1", {}),
    ],
)
def test_a_change_makes_the_new_one_before_the_old_one_goes(
    server: KubeflowServer, schedule: ScheduleConfig, image: str, parameters: dict[str, Any]
) -> None:
    apply_schedule(NIGHTLY, settings(server), written_pipeline())
    (old,) = server.recurring
    said = apply_schedule(schedule, settings(server), written_pipeline(image=image), parameters=parameters)
    (new,) = server.recurring
    assert old["recurring_run_id"] != new["recurring_run_id"]
    assert changes(server) == [("POST", ""), ("POST", ""), ("DELETE", "")]
    assert server.asked("DELETE", old["recurring_run_id"])
    assert "replaced" in said


def test_what_is_paused_stays_paused_when_it_changes(server: KubeflowServer) -> None:
    apply_schedule(NIGHTLY, settings(server), written_pipeline())
    assert set_enabled(settings(server), "taxi", False) == "schedule taxi is paused"
    assert "unchanged, paused" in apply_schedule(NIGHTLY, settings(server), written_pipeline())
    said = apply_schedule(ScheduleConfig(cron="0 4 * * *"), settings(server), written_pipeline())
    assert "replaced, paused" in said
    (only,) = server.recurring
    assert only["status"] == "DISABLED"
    assert only["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"


def test_schedules_are_listed_paused_resumed_and_deleted(server: KubeflowServer) -> None:
    apply_schedule(NIGHTLY, settings(server), written_pipeline("taxi"))
    apply_schedule(ScheduleConfig(cron="0 5 * * *", max_concurrency=2), settings(server), written_pipeline("iris"))
    listed = list_schedules(settings(server))
    assert [(each.name, each.cron, each.enabled, each.max_concurrency) for each in listed] == [
        ("iris", "0 0 5 * * *", True, 2),
        ("taxi", "0 0 3 * * *", True, 1),
    ]
    assert set_enabled(settings(server), "iris", False) == "schedule iris is paused"
    assert set_enabled(settings(server), "iris", False) == "schedule iris was paused already"
    assert [each.enabled for each in list_schedules(settings(server))] == [False, True]
    assert set_enabled(settings(server), "iris", True) == "schedule iris is enabled"
    assert delete_schedule(settings(server), "taxi") == "schedule taxi is deleted"
    assert [each.name for each in list_schedules(settings(server))] == ["iris"]
    assert [verb for _, verb in changes(server)] == ["", "", "disable", "enable", ""]


def test_recurring_runs_that_others_made_are_left_alone(server: KubeflowServer) -> None:
    others = {"recurring_run_id": "by-hand", "display_name": "taxi", "description": "mine", "status": "ENABLED"}
    server.recurring.append(others)
    apply_schedule(NIGHTLY, settings(server), written_pipeline())
    apply_schedule(ScheduleConfig(cron="0 4 * * *"), settings(server), written_pipeline())
    set_enabled(settings(server), "taxi", False)
    delete_schedule(settings(server), "taxi")
    assert server.recurring == [others]
    assert others["status"] == "ENABLED"
    with pytest.raises(SpecError, match="got 'taxi'; expected a schedule that Sluice made there \\(none\\)"):
        delete_schedule(settings(server), "taxi")


def test_an_unknown_name_is_answered_with_the_known_ones(server: KubeflowServer) -> None:
    apply_schedule(NIGHTLY, settings(server), written_pipeline())
    with pytest.raises(SpecError, match="got 'taxo'; expected a schedule that Sluice made there \\(taxi\\)"):
        set_enabled(settings(server), "taxo", False)


@pytest.mark.parametrize("kind", [500, "timeout", "cut", "half", "reset"])
def test_a_schedule_whose_making_was_not_confirmed_is_found_and_not_made_again(
    server: KubeflowServer, kind: int | str
) -> None:
    server.faults = [Fault(kind, "POST", "recurringruns$", done=True)]
    assert "created" in apply_schedule(NIGHTLY, settings(server), written_pipeline())
    assert len(server.recurring) == 1
    assert changes(server) == [("POST", "")]


@pytest.mark.parametrize("kind", [500, "timeout", "cut"])
def test_a_replacement_that_fails_leaves_the_old_schedule(server: KubeflowServer, kind: int | str) -> None:
    apply_schedule(NIGHTLY, settings(server), written_pipeline())
    before = [dict(each) for each in server.recurring]
    server.faults = [Fault(kind, "POST", "recurringruns$")]
    with pytest.raises(SpecError):
        apply_schedule(ScheduleConfig(cron="0 4 * * *"), settings(server), written_pipeline())
    assert server.recurring == before
    assert "replaced" in apply_schedule(ScheduleConfig(cron="0 4 * * *"), settings(server), written_pipeline())
    assert len(server.recurring) == 1


def test_a_replacement_that_was_cut_short_is_finished_by_the_next_apply(server: KubeflowServer) -> None:
    apply_schedule(NIGHTLY, settings(server), written_pipeline())
    server.faults = [Fault(403, "DELETE", "recurringruns", message="no delete on jobs")]
    with pytest.raises(SpecError, match="no delete on jobs"):
        apply_schedule(ScheduleConfig(cron="0 4 * * *"), settings(server), written_pipeline())
    assert len(server.recurring) == 2
    apply_schedule(ScheduleConfig(cron="0 4 * * *"), settings(server), written_pipeline())
    (only,) = server.recurring
    assert only["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"


def test_harmless_changes_are_sent_again_when_the_server_fails(server: KubeflowServer) -> None:
    apply_schedule(NIGHTLY, settings(server), written_pipeline())
    server.faults = [Fault(503, "POST", ":disable"), Fault("cut", "DELETE", "", done=True)]
    set_enabled(settings(server), "taxi", False)
    assert server.recurring[0]["status"] == "DISABLED"
    delete_schedule(settings(server), "taxi")
    assert server.recurring == []
    assert [verb for _, verb in changes(server)] == ["", "disable", "disable", "", ""]


def test_a_zone_that_the_server_cannot_follow_is_refused_before_anything_is_sent(server: KubeflowServer) -> None:
    berlin = ScheduleConfig(cron="0 3 * * *", time_zone="Europe/Berlin")
    with pytest.raises(SpecError, match="in Europe/Berlin, while the server counts in UTC"):
        apply_schedule(berlin, settings(server), written_pipeline())
    with pytest.raises(SpecError, match="--server-time-zone: got 'Berlin'"):
        apply_schedule(berlin, settings(server), written_pipeline(), server_time_zone="Berlin")
    assert not server.seen
    said = apply_schedule(berlin, settings(server), written_pipeline(), server_time_zone="Europe/Berlin")
    assert "0 0 3 * * * (seconds first, Europe/Berlin)" in said


def test_a_pipeline_that_wants_the_time_of_its_slot_gets_it(server: KubeflowServer) -> None:
    pipeline = written_pipeline(scheduled_time="STRING")
    apply_schedule(NIGHTLY, settings(server), pipeline, parameters={"epochs": 1})
    (told,) = server.asked("POST", "recurringruns$")
    assert told.body["runtime_config"]["parameters"] == {"epochs": 1, "scheduled_time": "[[ScheduledTime]]"}


def test_a_spec_without_a_schedule_and_a_wrong_parameter_are_refused_first(server: KubeflowServer) -> None:
    with pytest.raises(SpecError, match="schedule: got nothing; expected when the pipeline is to run"):
        apply_schedule(None, settings(server), written_pipeline())
    with pytest.raises(SpecError, match="Did you mean 'epochs'"):
        apply_schedule(NIGHTLY, settings(server), written_pipeline(), parameters={"epoch": 1})
    assert not server.seen


def test_a_server_for_several_users_is_asked_within_the_namespace(server: KubeflowServer) -> None:
    server.multi_user = True
    with pytest.raises(SpecError, match="--namespace"):
        list_schedules(settings(server))
    ann = settings(server, namespace="ann")
    apply_schedule(NIGHTLY, ann, written_pipeline())
    assert server.recurring[0]["namespace"] == "ann"
    assert [each.name for each in list_schedules(ann)] == ["taxi"]
    assert list_schedules(settings(server, namespace="bob")) == []


def test_the_kfp_sdk_reads_the_schedule_back(server: KubeflowServer) -> None:
    import kfp

    apply_schedule(NIGHTLY, settings(server), written_pipeline())
    (read,) = kfp.Client(host=server.host).list_recurring_runs().recurring_runs
    assert (read.display_name, read.status, read.max_concurrency) == ("taxi", "ENABLED", "1")
    assert read.trigger.cron_schedule.cron == "0 0 3 * * *"
    assert read.no_catchup is True
