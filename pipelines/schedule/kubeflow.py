"""The schedule of a spec on Kubeflow Pipelines: recurring runs of one immutable pipeline version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from components.errors import Problem, SpecError
from pipelines.kubeflow import recurring
from pipelines.kubeflow.client import KubeflowClient
from pipelines.kubeflow.cron import kfp_cron
from pipelines.kubeflow.recurring import Recurring
from pipelines.kubeflow.settings import KubeflowSettings
from pipelines.kubeflow.upload import (
    Compiled,
    Server,
    Version,
    check_parameters,
    connect,
    namespace_of,
    parameter_definitions,
    pipeline_name,
    upload,
)

SCHEDULED_PARAMETER = "scheduled_time"
"""A pipeline with a parameter of this name is told for which slot it runs."""
SCHEDULED_TIME = "[[ScheduledTime]]"
"""What the scheduler replaces by the time of the slot, `20261124030000`."""
MOST_AT_ONCE = 10
"""More runs of one schedule at the same time the server refuses."""


class Schedule(Protocol):
    """Section `schedule` of a spec, as `pipelines.schedule.config.ScheduleConfig` is one."""

    cron: str
    time_zone: str
    catch_up: bool
    max_concurrency: int
    start: datetime | None
    end: datetime | None


def apply_schedule(
    schedule: Schedule | None,
    settings: KubeflowSettings,
    compiled: Compiled,
    *,
    parameters: Mapping[str, Any] | None = None,
    server_time_zone: str = "UTC",
    connection: Callable[[KubeflowSettings], KubeflowClient] = KubeflowClient,
) -> str:
    """Make the server run the pipeline on the spec's schedule; does nothing when it does so already.

    A changed schedule replaces the old one: the new one is made first, so that no slot is missed. What is paused stays
    paused.

    Args:
        schedule: of the spec.
        settings: the server and who asks.
        compiled: the pipeline.
        parameters: of every run.
        server_time_zone: that the server counts in; it tells nobody, so the user has to know it.
        connection: makes the client; for tests.

    Returns:
        What was done, in a sentence.

    Raises:
        SpecError: the spec has no schedule, it cannot be told to this server, or the server refuses.
    """
    name = pipeline_name(compiled)
    checked = _check(schedule)
    cron = kfp_cron(checked.cron, checked.time_zone, server_time_zone)
    given = dict(parameters or {})
    if SCHEDULED_PARAMETER in parameter_definitions(compiled):
        given.setdefault(SCHEDULED_PARAMETER, SCHEDULED_TIME)
    check_parameters(compiled, given)
    server = connect(connection(settings), name)
    version = upload(server, compiled)
    body = _body(checked, server, version, given, cron)
    content = recurring.content_of(body)
    there = recurring.find(server.client, server.namespace, name)
    same = next((each for each in there if each.content == content), None)
    others = [each for each in there if each is not same]
    # one that is switched on is what makes the pipeline run today, so the new one is switched on too
    paused = bool(there) and not any(each.enabled for each in there)
    if same is None:
        body.mode = "DISABLE" if paused else "ENABLE"
        body.description = f"Schedule of {name}, applied by Sluice. {recurring.mark(content)}"
        recurring.create(server, body)
    elif not paused and not same.enabled:
        recurring.switch(server.client, same.recurring_id, True)
    for each in others:
        recurring.remove(server.client, each.recurring_id)
    return _told(name, cron, server_time_zone, version, done=_verb(same, others), paused=paused)


def list_schedules(
    settings: KubeflowSettings, connection: Callable[[KubeflowSettings], KubeflowClient] = KubeflowClient
) -> list[Recurring]:
    """Return the schedules that Sluice made on the server, by name.

    Raises:
        SpecError: the server cannot be reached or refuses.
    """
    client = connection(settings)
    return sorted(recurring.find(client, namespace_of(client)), key=lambda each: each.name)


def set_enabled(
    settings: KubeflowSettings,
    name: str,
    enabled: bool,
    connection: Callable[[KubeflowSettings], KubeflowClient] = KubeflowClient,
) -> str:
    """Resume or pause the schedule of a pipeline; runs that are under way go on.

    Raises:
        SpecError: it has none on the server.
    """
    client = connection(settings)
    found = _named(client, name)
    state = "enabled" if enabled else "paused"
    changed = [each for each in found if each.enabled != enabled]
    for each in changed:
        recurring.switch(client, each.recurring_id, enabled)
    return f"schedule {name} is {state}" if changed else f"schedule {name} was {state} already"


def delete_schedule(
    settings: KubeflowSettings, name: str, connection: Callable[[KubeflowSettings], KubeflowClient] = KubeflowClient
) -> str:
    """Remove the schedule of a pipeline; runs that are under way go on.

    Raises:
        SpecError: it has none on the server.
    """
    client = connection(settings)
    for each in _named(client, name):
        recurring.remove(client, each.recurring_id)
    return f"schedule {name} is deleted"


def _check(schedule: Schedule | None) -> Schedule:
    if schedule is None:
        problem = Problem("schedule", "nothing", "when the pipeline is to run", 'Add `schedule: {cron: "0 3 * * *"}`.')
        raise SpecError([problem])
    if not 1 <= schedule.max_concurrency <= MOST_AT_ONCE:
        received, expected = str(schedule.max_concurrency), f"1 to {MOST_AT_ONCE}, which is what Kubeflow takes"
        raise SpecError([Problem("schedule.max_concurrency", received, expected, "Lower it.")])
    return schedule


def _body(schedule: Schedule, server: Server, version: Version, parameters: Mapping[str, Any], cron: str) -> Any:
    import kfp_server_api

    settings = server.client.settings
    trigger = kfp_server_api.V2beta1CronSchedule(
        cron=cron, start_time=_moment(schedule.start, schedule), end_time=_moment(schedule.end, schedule)
    )
    return kfp_server_api.V2beta1RecurringRun(
        display_name=version.pipeline,
        experiment_id=server.experiment_id,
        namespace=server.namespace,
        pipeline_version_reference=kfp_server_api.V2beta1PipelineVersionReference(
            pipeline_id=version.pipeline_id, pipeline_version_id=version.version_id
        ),
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(
            parameters=dict(parameters), pipeline_root=settings.pipeline_root
        ),
        service_account=settings.service_account,
        max_concurrency=str(schedule.max_concurrency),
        no_catchup=not schedule.catch_up,
        trigger=kfp_server_api.V2beta1Trigger(cron_schedule=trigger),
    )


def _moment(moment: datetime | None, schedule: Schedule) -> datetime | None:
    """Return a moment in UTC; without a zone of its own it is meant in the schedule's."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        from zoneinfo import ZoneInfo

        moment = moment.replace(tzinfo=ZoneInfo(schedule.time_zone))
    return moment.astimezone(UTC)


def _verb(same: Recurring | None, others: list[Recurring]) -> str:
    if same:
        return "unchanged"
    return "replaced" if others else "created"


def _told(name: str, cron: str, zone: str, version: Version, *, done: str, paused: bool) -> str:
    pause = ", paused" if paused else ""
    return f"schedule {name}: {done}{pause} · {cron} (seconds first, in the server's zone, {zone}) · {version.name}"


def _named(client: KubeflowClient, name: str) -> list[Recurring]:
    namespace = namespace_of(client)
    found = recurring.find(client, namespace, name)
    if not found:
        known = ", ".join(sorted({each.name for each in recurring.find(client, namespace)})) or "none"
        raise SpecError(
            [
                Problem(
                    "schedule",
                    repr(name),
                    f"a schedule that Sluice made there ({known})",
                    "See `sluice schedule list`.",
                )
            ]
        )
    return found
