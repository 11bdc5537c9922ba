"""The schedule of a spec on Kubeflow Pipelines: recurring runs of one immutable pipeline version."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

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
from pipelines.schedule.config import ScheduleConfig

SCHEDULED_PARAMETER = "scheduled_time"
"""A pipeline with a parameter of this name is told for which slot it runs."""
SCHEDULED_TIME = "[[ScheduledTime]]"
"""What the scheduler replaces by the time of the slot, `20261124030000`."""


def apply_schedule(
    schedule: ScheduleConfig | None,
    settings: KubeflowSettings,
    compiled: Compiled,
    *,
    parameters: Mapping[str, Any] | None = None,
    server_time_zone: str = "UTC",
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

    Returns:
        What was done, in a sentence.

    Raises:
        SpecError: the spec has no schedule, it cannot be told to this server, or the server refuses.
    """
    wanted = _present(schedule)
    cron = kfp_cron(wanted.cron, wanted.time_zone, _known_zone(server_time_zone))
    given = dict(parameters or {})
    if SCHEDULED_PARAMETER in parameter_definitions(compiled):
        given.setdefault(SCHEDULED_PARAMETER, SCHEDULED_TIME)
    check_parameters(compiled, given)
    server = connect(KubeflowClient(settings), pipeline_name(compiled))
    version = upload(server, compiled)
    done = _put(server, _body(wanted, server, version, given, cron))
    return f"schedule {version.pipeline}: {done} · {cron} (seconds first, {server_time_zone}) · {version.name}"


def list_schedules(settings: KubeflowSettings) -> list[Recurring]:
    """Return the schedules that Sluice made on the server, by name.

    Raises:
        SpecError: the server cannot be reached or refuses.
    """
    client = KubeflowClient(settings)
    return sorted(recurring.find(client, namespace_of(client)), key=lambda each: each.name)


def set_enabled(
    settings: KubeflowSettings,
    name: str,
    enabled: bool,
) -> str:
    """Resume or pause the schedule of a pipeline; runs that are under way go on.

    Raises:
        SpecError: it has none on the server.
    """
    client = KubeflowClient(settings)
    found = _named(client, name)
    state = "enabled" if enabled else "paused"
    changed = [each for each in found if each.enabled != enabled]
    for each in changed:
        recurring.switch(client, each.recurring_id, enabled)
    return f"schedule {name} is {state}" if changed else f"schedule {name} was {state} already"


def delete_schedule(settings: KubeflowSettings, name: str) -> str:
    """Remove the schedule of a pipeline; runs that are under way go on.

    Raises:
        SpecError: it has none on the server.
    """
    client = KubeflowClient(settings)
    for each in _named(client, name):
        recurring.remove(client, each.recurring_id)
    return f"schedule {name} is deleted"


def _present(schedule: ScheduleConfig | None) -> ScheduleConfig:
    if schedule is None:
        problem = Problem(
            "schedule", "nothing", "when the pipeline is to run", 'Add `schedule: "0 3 * * *"` to the spec.'
        )
        raise SpecError([problem])
    return schedule


def _body(schedule: ScheduleConfig, server: Server, version: Version, parameters: Mapping[str, Any], cron: str) -> Any:
    import kfp_server_api

    settings = server.client.settings
    trigger = kfp_server_api.V2beta1CronSchedule(
        cron=cron, start_time=_in_utc(schedule.moment(schedule.start)), end_time=_in_utc(schedule.moment(schedule.end))
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


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None


def _put(server: Server, body: Any) -> str:
    """Make this the only schedule of its pipeline; return what that took."""
    name, content = body.display_name, recurring.content_of(body)
    there = recurring.find(server.client, server.namespace, name)
    same = next((each for each in there if each.content == content), None)
    others = [each for each in there if each is not same]
    paused = bool(there) and not any(each.enabled for each in there)
    if same is None:
        body.mode = "DISABLE" if paused else "ENABLE"
        body.description = f"Schedule of {name}, applied by Sluice. {recurring.mark(content)}"
        recurring.create(server, body)
    elif not paused and not same.enabled:
        # a replacement that was cut short: the old one is on and the new one is not
        recurring.switch(server.client, same.recurring_id, True)
    for each in others:
        recurring.remove(server.client, each.recurring_id)
    done = "unchanged" if same else "replaced" if others else "created"
    return f"{done}, paused" if paused else done


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        problem = Problem(
            "--server-time-zone", repr(name), "a time zone of the IANA database", "Such as Europe/Berlin."
        )
        raise SpecError([problem])
    return name


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
