"""Section `schedule`: when a pipeline runs by itself. Nothing heavy."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from components.catalog import nearest
from components.config import Section
from pipelines.schedule import cron as cron_slots


class ScheduleConfig(Section):
    """When a pipeline runs by itself: here (`sluice schedule run`) or on a cluster (`sluice schedule apply`).

    In YAML a cron expression alone is enough: `schedule: 0 3 * * *`.

    Args:
        cron: minute, hour, day of month, month, day of week. What happens when clocks are changed is described in
            `pipelines.schedule.cron`: a nightly run takes place once each night.
        time_zone: in which they are meant, by its name in the IANA database.
        catch_up: run every slot that was missed while nothing watched the clock or a run took longer than a period,
            oldest first; else only the latest of them.
        max_concurrency: how many runs of a cluster may overlap. Runs on one machine never do.
        start, end: no slot before or after; without a zone of their own they are meant in `time_zone`.
    """

    cron: str
    time_zone: str = "UTC"
    catch_up: bool = False
    max_concurrency: int = Field(default=1, ge=1, le=10)
    start: datetime | None = None
    end: datetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, written: Any) -> Any:
        return {"cron": written} if isinstance(written, str) else written

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, text: str) -> str:
        cron_slots.check_cron(text)
        return " ".join(text.split())

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        known = available_timezones()
        if name not in known:
            guess = nearest(name, sorted(known)) or next(
                (one for one in sorted(known) if one.endswith(f"/{name}")), None
            )
            hint = f"did you mean {guess!r}?" if guess else "write it as Europe/Berlin or UTC"
            raise ValueError(f"{name!r} is no time zone of the IANA database; {hint}")
        return name

    @field_validator("start", "end", mode="before")
    @classmethod
    def _a_date_is_its_midnight(cls, written: Any) -> Any:
        whole_day = isinstance(written, date) and not isinstance(written, datetime)
        return datetime.combine(written, time()) if whole_day else written

    @model_validator(mode="after")
    def _start_is_before_end(self) -> ScheduleConfig:
        start, end = self.moment(self.start), self.moment(self.end)
        if start is not None and end is not None and start >= end:
            raise ValueError(f"start {self.start} is not before end {self.end}")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone."""
        return ZoneInfo(self.time_zone)

    def moment(self, time: datetime | None) -> datetime | None:
        """Return `start` or `end` with a time zone."""
        return time if time is None or time.tzinfo else time.replace(tzinfo=self.zone)

    def next_slot(self, after: datetime) -> datetime | None:
        """Return the first slot after a moment, in UTC, or None when the schedule has ended by then."""
        start, end = self.moment(self.start), self.moment(self.end)
        if start is not None and after < start:
            # one instant before, so that a slot at the very start counts
            after = start - cron_slots.INSTANT
        slot = cron_slots.next_slot(self.cron, self.zone, after)
        return None if end is not None and slot > end else slot

    def slot_before(self, moment: datetime) -> datetime | None:
        """Return the last slot before a moment, in UTC, or None when there was none in nine years."""
        for back in (timedelta(hours=4), timedelta(days=2), timedelta(days=40), timedelta(days=9 * 366)):
            found = self.slots(moment - back, moment - cron_slots.INSTANT)
            if found:
                return found[-1]
        return None

    def slots(self, after: datetime, until: datetime) -> list[datetime]:
        """Return the slots after a moment, up to and with another one, in UTC."""
        found: list[datetime] = []
        while (slot := self.next_slot(found[-1] if found else after)) is not None and slot <= until:
            found.append(slot)
        return found
