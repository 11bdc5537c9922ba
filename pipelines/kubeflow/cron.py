"""A schedule of the spec as Kubeflow's scheduler reads it: six fields, seconds first, in the server's time zone.

The scheduler has one time zone for all schedules (CRON_SCHEDULE_TIMEZONE of its deployment) and tells nobody which.
A cron expression of five fields is not refused there but read with the minutes as seconds. Reference: robfig/cron 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from components.errors import Problem, SpecError
from pipelines.schedule.cron import FIELDS

_DAY_MINUTES = 24 * 60

Values = frozenset[int] | None
"""The values of one field; None for all of them."""


def kfp_cron(cron: str, time_zone: str, server_zone: str = "UTC") -> str:
    """Return the expression that fires at the same moments on the server.

    Args:
        cron: five fields, as `pipelines.schedule.cron.check_cron` accepts them.
        time_zone: that they are meant in.
        server_zone: that the server counts in.

    Raises:
        SpecError: there is none, such as when one zone changes its clocks and the other does not.

    Example:
        >>> kfp_cron("30 3 * * mon-fri", "UTC")
        '0 30 3 * * 1,2,3,4,5'
        >>> kfp_cron("0 3 * * *", "Asia/Tokyo")
        '0 0 18 * * *'
    """
    minutes, hours, days, months, weekdays = (
        _values(text, low, high, names) for text, (_, low, high, names) in zip(cron.split(), FIELDS, strict=True)
    )
    if weekdays is not None:
        weekdays = frozenset(day % 7 for day in weekdays)
    shift = _shift_minutes(time_zone, server_zone)
    if shift is None:
        raise _moving(cron, time_zone, server_zone)
    if shift:
        moved = _moved(minutes, hours, shift)
        if moved is None:
            raise _moving(cron, time_zone, server_zone)
        minutes, hours, carries = moved
        if (days, months, weekdays) != (None, None, None):
            if len(carries) > 1 or (carries != {0} and (days, months) != (None, None)):
                raise _moving(cron, time_zone, server_zone)
            (carry,) = carries
            weekdays = None if weekdays is None else frozenset((day + carry) % 7 for day in weekdays)
    return " ".join(["0", *(_text(values) for values in (minutes, hours, days, months, weekdays))])


def _values(text: str, low: int, high: int, names: tuple[str, ...]) -> Values:
    """Return the values of one field, steps and ranges written out: there readers of cron differ."""
    if text == "*":
        return None
    numbers = {name: number for number, name in enumerate(names, low)}
    found: set[int] = set()
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        start = low if first == "*" else _number(first, numbers)
        end = _number(last, numbers) if dash else high if first == "*" or step else start
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)


def _number(text: str, names: Mapping[str, int]) -> int:
    return names[text] if text in names else int(text)


def _shift_minutes(time_zone: str, server_zone: str) -> int | None:
    """Return by how much one zone is ahead of the other, or None when that changes within three years."""
    ours, theirs = ZoneInfo(time_zone), ZoneInfo(server_zone)
    now = datetime.now(UTC)
    # every day, so that the few weeks are seen in which Europe and America disagree
    moments = (now + timedelta(days=day) for day in range(3 * 365))
    differences = {
        (moment.astimezone(ours).utcoffset() or timedelta()) - (moment.astimezone(theirs).utcoffset() or timedelta())
        for moment in moments
    }
    if len(differences) > 1:
        return None
    seconds = differences.pop().total_seconds()
    return None if seconds % 60 else int(seconds // 60)


def _moved(minutes: Values, hours: Values, shift: int) -> tuple[Values, Values, set[int]] | None:
    """Return minutes and hours as the server counts them, and by how many days they move; None if it cannot be said."""
    times = {
        divmod(hour * 60 + minute - shift, _DAY_MINUTES)
        for hour in (range(24) if hours is None else hours)
        for minute in (range(60) if minutes is None else minutes)
    }
    new_hours = frozenset(time // 60 for _, time in times)
    new_minutes = frozenset(time % 60 for _, time in times)
    if len(new_hours) * len(new_minutes) != len({time for _, time in times}):
        return None
    return (
        None if len(new_minutes) == 60 else new_minutes,
        None if len(new_hours) == 24 else new_hours,
        {day for day, _ in times},
    )


def _text(values: Iterable[int] | None) -> str:
    return "*" if values is None else ",".join(str(value) for value in sorted(values))


def _moving(cron: str, time_zone: str, server_zone: str) -> SpecError:
    problem = Problem(
        "schedule.time_zone",
        f"{cron!r} in {time_zone}, while the server counts in {server_zone}",
        "a schedule that is one and the same cron expression in the server's zone all year",
        f"Kubeflow has one zone for all schedules: set CRON_SCHEDULE_TIMEZONE of deployment "
        f"ml-pipeline-scheduledworkflow to {time_zone} and say --server-time-zone {time_zone}; or use the CronJob in "
        f"k8s/, which has a zone of its own; or write the schedule in {server_zone}.",
    )
    return SpecError([problem])
