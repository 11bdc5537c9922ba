"""The schedule in the foreground: every slot is run or its absence explained, whatever happens in between."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from components.errors import SpecError
from pipelines.schedule.config import ScheduleConfig
from pipelines.schedule.local import LocalSchedule
from pipelines.schedule.log import Outcome, ScheduleLog

DAY = timedelta(days=1)
THREE = datetime(2026, 11, 1, 3, tzinfo=UTC)
PUSHED = Outcome("pushed", 0, "run", ("new data",), 7)


class Clock:
    """A clock that stands still until it is told to wait; waiting takes no time.

    Args:
        time: what it shows first.
        until: waiting for any later moment is what Ctrl-C interrupts.
    """

    def __init__(self, time: datetime, until: datetime) -> None:
        self.time = time
        self.until = until

    def now(self) -> datetime:
        return self.time

    def wait_until(self, moment: datetime) -> None:
        if moment > self.until:
            raise KeyboardInterrupt
        self.time = max(self.time, moment)


class Runs:
    """What runs do: how long they take on the clock, and how they end.

    Args:
        clock: the clock that goes on while a run is at work.
        hours: slot's day of the month to how long its run takes.
        ends: slot's day of the month to its outcome; an exception is raised.
    """

    def __init__(self, clock: Clock, hours: dict[int, float] | None = None, ends: dict | None = None) -> None:
        self.clock = clock
        self.hours = hours or {}
        self.ends = ends or {}
        self.slots: list[datetime] = []

    def __call__(self, slot: datetime) -> Outcome:
        self.slots.append(slot)
        self.clock.time += timedelta(hours=self.hours.get(slot.day, 0.1))
        ended = self.ends.get(slot.day, PUSHED)
        if isinstance(ended, BaseException):
            raise ended
        return ended

    @property
    def days(self) -> list[int]:
        return [slot.day for slot in self.slots]


def watch(folder: Path, clock: Clock, runs: Runs, **keys: object) -> list[str]:
    """Watch the schedule until the clock ends it; return what was said."""
    said: list[str] = []
    config = ScheduleConfig.model_validate({"cron": "0 3 * * *", **keys})
    schedule = LocalSchedule(config, ScheduleLog(folder), runs, clock=clock, say=said.append)
    try:
        schedule.watch()
    except KeyboardInterrupt:
        said.append("stopped")
    return said


def events(folder: Path) -> list[tuple[str, int]]:
    """Return kind and day of each line of the log."""
    return [(entry.event, entry.slot.day) for entry in ScheduleLog(folder).entries()]


def test_each_slot_is_run_when_it_comes(tmp_path):
    clock = Clock(THREE - timedelta(hours=1), until=THREE + 2 * DAY)
    runs = Runs(clock)
    said = watch(tmp_path, clock, runs)
    assert runs.slots == [THREE, THREE + DAY, THREE + 2 * DAY]
    assert said[:3] == [
        "next Sun 2026-11-01 03:00 UTC",
        "running Sun 2026-11-01 03:00 UTC",
        "Sun 2026-11-01 03:00 UTC pushed (exit code 0): new data",
    ]
    assert said[-1] == "stopped"


def test_a_schedule_that_begins_at_a_slot_runs_it(tmp_path):
    clock = Clock(THREE, until=THREE)
    runs = Runs(clock)
    watch(tmp_path, clock, runs)
    assert runs.slots == [THREE]


@pytest.mark.parametrize(
    "outcome",
    [Outcome("failed", 4, "run", ("Trainer: out of memory",)), Outcome("crashed", -9), Outcome("refused", 2)],
    ids=lambda outcome: outcome.status,
)
def test_a_night_that_goes_wrong_does_not_stop_the_next(tmp_path, outcome):
    clock = Clock(THREE, until=THREE + 2 * DAY)
    runs = Runs(clock, ends={2: outcome})
    watch(tmp_path, clock, runs)
    assert runs.days == [1, 2, 3]
    ended = [entry.outcome for entry in ScheduleLog(tmp_path).entries() if entry.event == "ended"]
    assert ended == [PUSHED, outcome, PUSHED]


def test_slots_missed_while_nothing_watched_are_run_once_for_the_latest(tmp_path):
    clock = Clock(THREE, until=THREE)
    watch(tmp_path, clock, Runs(clock))
    clock = Clock(THREE + 5 * DAY + timedelta(hours=4), until=THREE + 6 * DAY)
    runs = Runs(clock)
    said = watch(tmp_path, clock, runs)
    assert runs.days == [6, 7]
    assert "missed Mon 2026-11-02 03:00 UTC to Thu 2026-11-05 03:00 UTC; only the latest slot runs" in said
    (missed,) = [entry for entry in ScheduleLog(tmp_path).entries() if entry.event == "missed"]
    assert (missed.first, missed.slot) == (THREE + DAY, THREE + 4 * DAY)


def test_slots_missed_while_nothing_watched_are_all_run_with_catch_up(tmp_path):
    clock = Clock(THREE, until=THREE)
    watch(tmp_path, clock, Runs(clock))
    clock = Clock(THREE + 5 * DAY + timedelta(hours=4), until=THREE + 6 * DAY)
    runs = Runs(clock)
    watch(tmp_path, clock, runs, catch_up=True)
    assert runs.days == [2, 3, 4, 5, 6, 7]
    assert "missed" not in dict(events(tmp_path))


@pytest.mark.parametrize(("catch_up", "days"), [(False, [1, 4, 5]), (True, [1, 2, 3, 4, 5])])
def test_a_run_that_takes_longer_than_a_period_is_never_joined_by_a_second(tmp_path, catch_up, days):
    clock = Clock(THREE, until=THREE + 4 * DAY)
    runs = Runs(clock, hours={1: 80.0})
    watch(tmp_path, clock, runs, catch_up=catch_up)
    assert runs.days == days
    kinds = [event for event, _ in events(tmp_path) if event != "missed"]
    assert kinds == ["started", "ended"] * len(days)


def test_a_schedule_with_a_start_makes_up_for_slots_since_then(tmp_path):
    clock = Clock(THREE + 3 * DAY, until=THREE + 3 * DAY)
    runs = Runs(clock)
    watch(tmp_path, clock, runs, start=THREE, catch_up=True)
    assert runs.days == [1, 2, 3, 4]


def test_a_schedule_that_has_ended_says_so(tmp_path):
    clock = Clock(THREE, until=THREE + 9 * DAY)
    runs = Runs(clock)
    said = watch(tmp_path, clock, runs, end=THREE + DAY)
    assert runs.days == [1, 2]
    assert said[-1] == "the schedule has ended"


def test_a_run_that_the_user_interrupted_runs_again_first(tmp_path):
    clock = Clock(THREE, until=THREE + DAY)
    assert watch(tmp_path, clock, Runs(clock, ends={2: KeyboardInterrupt()}))[-1] == "stopped"
    last = ScheduleLog(tmp_path).entries()[-1]
    assert (last.outcome.status, last.outcome.exit_code) == ("interrupted", 130)
    clock = Clock(THREE + DAY + timedelta(hours=2), until=THREE + 2 * DAY)
    runs = Runs(clock)
    said = watch(tmp_path, clock, runs)
    assert runs.days == [2, 3]
    assert said[0] == "Mon 2026-11-02 03:00 UTC was cut off; it runs again"


def test_an_interrupted_slot_gives_way_to_a_later_one(tmp_path):
    clock = Clock(THREE, until=THREE + DAY)
    watch(tmp_path, clock, Runs(clock, ends={2: KeyboardInterrupt()}))
    clock = Clock(THREE + 3 * DAY, until=THREE + 3 * DAY)
    runs = Runs(clock)
    watch(tmp_path, clock, runs)
    assert runs.days == [4]
    assert events(tmp_path)[-3:] == [("missed", 3), ("started", 4), ("ended", 4)]


class PowerCut(BaseException):
    """The process is gone; nothing more is written."""


def test_a_run_that_takes_the_machine_with_it_is_tried_once_more_and_then_left(tmp_path):
    for expected in ([1, 2], [2], [3]):
        clock = Clock(THREE + (0 if expected[0] == 1 else 1) * DAY, until=THREE + (expected[-1] - 1) * DAY)
        runs = Runs(clock, ends={2: PowerCut()})
        try:
            watch(tmp_path, clock, runs)
        except PowerCut:
            pass
        else:
            assert expected == [3]
        assert runs.days == expected


def test_a_line_that_was_cut_off_does_not_stop_the_schedule(tmp_path):
    clock = Clock(THREE, until=THREE)
    watch(tmp_path, clock, Runs(clock))
    log = ScheduleLog(tmp_path)
    with log.path.open("a") as file:
        file.write('{"event": "star')
    clock = Clock(THREE + DAY, until=THREE + DAY)
    runs = Runs(clock)
    watch(tmp_path, clock, runs)
    assert runs.days == [2]
    assert [event for event, _ in events(tmp_path)] == ["started", "ended", "started", "ended"]


def test_the_log_holds_what_a_program_needs(tmp_path):
    clock = Clock(THREE, until=THREE)
    watch(tmp_path, clock, Runs(clock))
    started, ended = [json.loads(line) for line in (tmp_path / "schedule.jsonl").read_text().splitlines()]
    assert started == {"event": "started", "slot": THREE.isoformat(), "at": THREE.isoformat()}
    assert ended["seconds"] == 360
    assert ended["outcome"] == {
        "status": "pushed", "exit_code": 0, "run_id": "run", "reasons": ["new data"], "span": 7,
    }  # fmt: skip


def test_two_processes_do_not_watch_one_schedule(tmp_path):
    clock = Clock(THREE, until=THREE)
    with ScheduleLog(tmp_path).watched(), pytest.raises(SpecError, match=r"one at a time: process \d+ watches it"):
        watch(tmp_path, clock, Runs(clock))
    assert events(tmp_path) == []
