"""A schedule on this machine, in the foreground: wait for the next slot, run, go on whatever became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from pipelines.schedule.config import ScheduleConfig
from pipelines.schedule.cron import INSTANT
from pipelines.schedule.log import INTERRUPTED, Entry, Outcome, ScheduleLog

LONGEST_SLEEP_SECONDS = 30.0
"""Sleep no longer without looking at the clock: it may have been set, or the machine may have been suspended."""


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """Return the time, in UTC."""

    def wait_until(self, moment: datetime) -> None:
        """Return when it is that time."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC)

    def wait_until(self, moment: datetime) -> None:
        """Return when it is that time, or soon after the machine wakes up."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            time.sleep(min(left, LONGEST_SLEEP_SECONDS))


class LocalSchedule:
    """Runs a pipeline at the slots of its schedule, one run at a time, and writes down what became of each.

    Slots pass while a run takes longer than a period, or while nothing watches the clock. With `catch_up` each of them
    is run, oldest first; without it only the latest, and the log names the others. The first time, the schedule begins
    at `start`, or else now. A run that was interrupted is run again first; so is one that took this process with it,
    once.

    Args:
        schedule: when.
        log: what became of earlier slots.
        run: runs the pipeline for a slot and says how that ended; what it raises ends the schedule.
        clock: the time.
        say: is told in a sentence what happens.
    """

    def __init__(
        self,
        schedule: ScheduleConfig,
        log: ScheduleLog,
        run: Callable[[datetime], Outcome],
        *,
        clock: Clock | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.schedule = schedule
        self.log = log
        self.run = run
        self.clock = clock or SystemClock()
        self.say = say

    def watch(self) -> None:
        """Wait and run until the schedule has ended.

        Raises:
            SpecError: another process watches this schedule.
            KeyboardInterrupt: the user stopped it; a run that was under way is logged as interrupted.
        """
        with self.log.watched():
            position = self.log.position()
            begin = self.schedule.moment(self.schedule.start) or self.clock.now()
            # one instant before, so that a slot at this very moment counts
            done = position.done or begin.astimezone(UTC) - INSTANT
            if position.again is not None and not self._superseded(position.again):
                self.say(f"{self._shown(position.again)} was cut off; it runs again")
                self._run(position.again)
                done = max(done, position.again)
            while (slot := self.schedule.next_slot(done)) is not None:
                if slot > self.clock.now():
                    self.say(f"next {self._shown(slot)}")
                    self.clock.wait_until(slot)
                done = self._latest(slot)
                self._run(done)
            self.say("the schedule has ended")

    def _superseded(self, slot: datetime) -> bool:
        """True when a later slot is due as well, and only the latest one counts."""
        return not self.schedule.catch_up and self._later(slot) is not None

    def _latest(self, slot: datetime) -> datetime:
        """Return the slot to run now: the one that is due, or the latest of those that are."""
        latest = None if self.schedule.catch_up else self._later(slot)
        if latest is None:
            return slot
        last_missed = self.schedule.slot_before(latest) or slot
        self.log.add(Entry("missed", last_missed, self.clock.now(), first=slot))
        until = f" to {self._shown(last_missed)}" if last_missed > slot else ""
        self.say(f"missed {self._shown(slot)}{until}; only the latest slot runs")
        return latest

    def _later(self, slot: datetime) -> datetime | None:
        """Return the latest slot that is due, when it is later than this one."""
        latest = self.schedule.slot_before(self.clock.now() + INSTANT)
        return latest if latest is not None and latest > slot else None

    def _run(self, slot: datetime) -> None:
        started = self.clock.now()
        self.log.add(Entry("started", slot, started))
        self.say(f"running {self._shown(slot)}")
        try:
            outcome = self.run(slot)
        except KeyboardInterrupt:
            self._ended(slot, started, Outcome(INTERRUPTED, 130, reasons=("stopped by the user",)))
            raise
        self._ended(slot, started, outcome)

    def _ended(self, slot: datetime, started: datetime, outcome: Outcome) -> None:
        now = self.clock.now()
        seconds = round((now - started).total_seconds(), 1)
        self.log.add(Entry("ended", slot, now, outcome=outcome, seconds=seconds))
        why = f": {outcome.reasons[0]}" if outcome.reasons else ""
        self.say(f"{self._shown(slot)} {outcome.status} (exit code {outcome.exit_code}){why}")

    def _shown(self, slot: datetime) -> str:
        return f"{slot.astimezone(self.schedule.zone):%a %Y-%m-%d %H:%M %Z}"
