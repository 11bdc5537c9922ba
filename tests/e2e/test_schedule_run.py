"""`sluice schedule run` as its user meets it: real processes, real signals."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from pipelines.schedule.log import Entry, ScheduleLog
from tests.factories.sluice_command import Sluice, environment
from tests.factories.spans import SPEC, deliver, rows
from tests.factories.webhook import Receiver

pytestmark = pytest.mark.timeout(600)

PATIENCE_SECONDS = 120.0


@pytest.fixture
def sluice(tmp_path) -> Sluice:
    """A pipeline that has not run yet, with two spans."""
    (tmp_path / "pipeline.yaml").write_text(SPEC)
    for span in (1, 2):
        deliver(tmp_path, span, rows(span))
    return Sluice(tmp_path / "root", tmp_path)


def words(start: timedelta = timedelta(hours=-1), end: timedelta = timedelta()) -> list[str]:
    """Return the arguments of a schedule with a slot each minute, of which the latest is due at once."""
    now = datetime.now(UTC)
    times = [f"schedule.{key}={now + shift:%Y-%m-%dT%H:%M:%S+00:00}" for key, shift in (("start", start), ("end", end))]
    return ["schedule", "run", "pipeline.yaml", "schedule.cron='* * * * *'", *times]


@pytest.fixture
def started(sluice) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the schedule in the background; whatever is left of it ends with the test."""
    processes = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = sluice.command(*arguments)
        process = subprocess.Popen(
            command, cwd=sluice.cwd, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.communicate()


def wait_until_it_runs(sluice: Sluice, process: subprocess.Popen[str]) -> None:
    """Return when the first component of the run has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any((sluice.root / "state").glob("ExampleGen/*.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def ended(root: Path) -> list[Entry]:
    return [entry for entry in ScheduleLog(root).entries() if entry.event == "ended"]


def test_a_run_that_a_signal_cuts_off_runs_again_at_the_next_start(sluice, started):
    process = started(*words())
    wait_until_it_runs(sluice, process)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, said
    assert "stopped; what was cut off runs again" in said
    (entry,) = ended(sluice.root)
    assert entry.outcome.status == "interrupted"
    assert sluice.latest()["status"] == "failed"

    said = sluice(*words()).stdout
    assert "the schedule has ended" in said
    entry = ended(sluice.root)[-1]
    assert (entry.outcome.status, entry.outcome.exit_code, entry.outcome.span) == ("pushed", 0, 2)
    assert entry.outcome.run_id == sluice.latest()["run_id"]
    assert len(sluice.versions()) == 1

    table = sluice("schedule", "history", "pipeline.yaml").stdout
    assert "interrupted" in table
    assert "no model was trained yet" in table


def test_a_run_that_is_killed_is_written_down_and_the_schedule_goes_on(sluice, started):
    process = started(*words())
    wait_until_it_runs(sluice, process)
    (run,) = psutil.Process(process.pid).children()
    run.kill()
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    assert "the schedule has ended" in said
    (entry,) = ended(sluice.root)
    assert (entry.outcome.status, entry.outcome.exit_code) == ("crashed", -9)
    assert entry.outcome.reasons == ("the run was killed by SIGKILL",)


def test_data_that_cannot_be_read_are_written_down_and_told_and_the_schedule_goes_on(sluice):
    deliver(sluice.cwd, 4, rows(4))
    receiver = Receiver([200])
    done = sluice(*words(), f"notify.webhook={receiver.url}")
    (told,) = receiver.received
    assert (told["pipeline"], told["status"], told["run_id"]) == ("nights", "failed", None)
    assert "a window without span 3" in told["text"]
    assert "the schedule has ended" in done.stdout
    (entry,) = ended(sluice.root)
    assert (entry.outcome.status, entry.outcome.exit_code, entry.outcome.run_id) == ("refused", 2, None)
    assert "a window without span 3" in entry.outcome.reasons[0]
    assert "a window without span 3" in done.stderr


def test_ctrl_c_while_it_waits_stops_it_at_once(sluice, started):
    process = started(*words(start=timedelta(hours=5), end=timedelta(hours=9)))
    assert "next" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.startswith("stopped")
    assert ended(sluice.root) == []


def test_a_spec_without_a_schedule_says_how_to_write_one(sluice):
    done = sluice("schedule", "run", "pipeline.yaml", "schedule=null", check=2)
    assert 'Add `schedule: {cron: "0 3 * * *", time_zone: Europe/Berlin}`' in done.stderr
