"""`sluice schedule`: run a pipeline at the slots of its schedule, here in the foreground or on Kubeflow."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from components.errors import Problem, SpecError
from pipelines.commands.kubeflow_options import kubeflow_options, settings_of
from pipelines.spec import LoadedSpec, load_spec

if TYPE_CHECKING:
    from pipelines.schedule.config import ScheduleConfig
    from pipelines.schedule.log import Entry, Outcome

SPEC = click.argument("spec")
OVERRIDES = click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
ROOT = click.option(
    "--root", metavar="PLACE", help="The pipeline's folder: a path, s3://… or gs://…; .sluice/NAME when not given."
)


@click.group()
def schedule() -> None:
    """Run a pipeline at the slots of its schedule."""


@schedule.command()
@SPEC
@OVERRIDES
@ROOT
@click.option("--runner", type=click.Choice(["beam", "docker"]), help="Where each run takes place; as for sluice run.")
@click.option("--image", help="The image of the steps; as for sluice run.")
def run(spec: str, overrides: tuple[str, ...], root: str | None, **options: Any) -> None:
    """Wait here for each slot and run the pipeline; Ctrl-C stops. One slot that fails does not stop the next.

    The spec is read again for every run, so it can be changed meanwhile; only its schedule is that of the start.
    """
    from pipelines.schedule.local import LocalSchedule
    from pipelines.schedule.log import ScheduleLog
    from pipelines.schedule.one_run import run_in_process, tell

    loaded = load_spec(spec, overrides)
    folder, words = _folder(loaded, root), [spec, *overrides, *(["--root", root] if root else [])]
    words += [word for name in ("runner", "image") if options[name] for word in (f"--{name}", options[name])]

    def say(text: str) -> None:
        _console().print(f"[bold]{loaded.spec.name}[/] · {escape(text)}", soft_wrap=True)

    def run_slot(_: datetime) -> Outcome:
        outcome = run_in_process(words, folder)
        if untold := tell(loaded.spec.notify, loaded.spec.name, outcome):
            say(untold)
        return outcome

    watched = LocalSchedule(_schedule(loaded), ScheduleLog(folder), run_slot, say=say)
    # SIGTERM is what a service manager and a container runtime stop a process with; SIGINT is ignored by what a script
    # starts in the background, and by all that is started from there, unless it is taken back here
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.default_int_handler)
    try:
        watched.watch()
    except KeyboardInterrupt:
        _console().print("stopped; what was cut off runs again when the schedule is watched next")
        sys.exit(130)


@schedule.command()
@SPEC
@ROOT
@click.option("--last", default=30, show_default=True, type=click.IntRange(min=1), help="How many slots to show.")
def history(spec: str, root: str | None, last: int) -> None:
    """Show what became of the slots that `schedule run` saw, oldest first."""
    from pipelines.schedule.log import ScheduleLog

    loaded = load_spec(spec)
    entries = [entry for entry in ScheduleLog(_folder(loaded, root)).entries() if entry.event != "started"]
    if not entries:
        _console().print(f"no slot of {loaded.spec.name} was run in {_folder(loaded, root)}", soft_wrap=True)
        return
    _console().print(history_table(entries[-last:], loaded.spec.schedule))


def history_table(entries: Iterable[Entry], schedule: ScheduleConfig | None) -> Table:
    """Draw the log of a schedule, slots in its time zone."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("slot", "status", "exit", "span", "seconds", "run", "why"):
        table.add_column(name, justify="right" if name in ("exit", "span", "seconds") else "left", header_style="bold")
    zone = schedule.zone if schedule else None
    for entry in entries:
        slot = f"{entry.slot.astimezone(zone):%Y-%m-%d %H:%M}"
        if entry.outcome is None:
            first = entry.first or entry.slot
            since = f"since {first.astimezone(zone):%Y-%m-%d %H:%M}; " if first < entry.slot else ""
            table.add_row(slot, "missed", "", "", "", "", f"{since}a later slot ran in its place")
            continue
        outcome = entry.outcome
        span = "" if outcome.span is None else str(outcome.span)
        seconds = "" if entry.seconds is None else f"{entry.seconds:.0f}"
        row = (slot, outcome.status, str(outcome.exit_code), span, seconds, outcome.run_id or "")
        table.add_row(*row, "; ".join(outcome.reasons)[:300])
    return table


@schedule.command()
@SPEC
@OVERRIDES
@kubeflow_options
@click.option("--root", required=True, help="The pipeline's folder as steps see it: s3://…, gs://… or a mounted path.")
@click.option("--image", help="The image of every step; those that `sluice image build` makes of this code by default.")
@click.option("--registry", default="", help="Registry (and folder in it) of the default images.")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of every run.")
@click.option(
    "--server-time-zone", default="UTC", show_default=True, help="CRON_SCHEDULE_TIMEZONE of the server's scheduler."
)
def apply(spec: str, overrides: tuple[str, ...], parameters: tuple[str, ...], **options: Any) -> None:
    """Make Kubeflow run the pipeline on its schedule; nothing changes when it does so already."""
    from pipelines.commands.compile import compiled_for_cluster
    from pipelines.schedule.kubeflow import apply_schedule

    settings = settings_of(options)
    loaded = load_spec(spec, overrides)
    compiled = compiled_for_cluster(loaded, root=options["root"], image=options["image"], registry=options["registry"])
    done = apply_schedule(
        _schedule(loaded),
        settings,
        compiled,
        parameters=_parameters(parameters),
        server_time_zone=options["server_time_zone"],
    )
    _console().print(done, soft_wrap=True)


@schedule.command(name="list")
@kubeflow_options
def list_(**options: Any) -> None:
    """List the schedules on Kubeflow that Sluice made."""
    from pipelines.schedule.kubeflow import list_schedules

    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("name", "state", "cron, seconds first", "catch up", "at once", "made"):
        table.add_column(name, header_style="bold")
    found = list_schedules(settings_of(options))
    for one in found:
        state = "enabled" if one.enabled else "paused"
        catch_up = "yes" if one.catch_up else "no"
        table.add_row(one.name, state, one.cron, catch_up, str(one.max_concurrency), one.created)
    _console().print(table if found else "no schedules")


@schedule.command()
@click.argument("name")
@kubeflow_options
def pause(name: str, **options: Any) -> None:
    """Let no slot of a schedule run on Kubeflow until it is resumed. NAME is the pipeline's."""
    from pipelines.schedule.kubeflow import set_enabled

    _console().print(set_enabled(settings_of(options), name, False), soft_wrap=True)


@schedule.command()
@click.argument("name")
@kubeflow_options
def resume(name: str, **options: Any) -> None:
    """Let a paused schedule run on Kubeflow again. NAME is the pipeline's."""
    from pipelines.schedule.kubeflow import set_enabled

    _console().print(set_enabled(settings_of(options), name, True), soft_wrap=True)


@schedule.command()
@click.argument("name")
@kubeflow_options
def delete(name: str, **options: Any) -> None:
    """Remove a schedule from Kubeflow; its runs and their results stay. NAME is the pipeline's."""
    from pipelines.schedule.kubeflow import delete_schedule

    _console().print(delete_schedule(settings_of(options), name), soft_wrap=True)


def _schedule(loaded: LoadedSpec) -> ScheduleConfig:
    if loaded.spec.schedule is None:
        remedy = 'Add `schedule: {cron: "0 3 * * *", time_zone: Europe/Berlin}` to it.'
        raise SpecError([Problem("schedule", "nothing", "when the pipeline runs", remedy, str(loaded.path))])
    return loaded.spec.schedule


def _folder(loaded: LoadedSpec, root: str | None) -> Path:
    """Return the folder on this machine in which runs work."""
    from pipelines.api import Pipeline

    return Pipeline(loaded, root).root.folder


def _parameters(written: Iterable[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in written]
    wrong = [name for name, mark, _ in pairs if not mark or not name]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} is not NAME=VALUE", param_hint="--parameter")
    return {name: value for name, _, value in pairs}


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)
