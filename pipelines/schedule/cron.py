"""The moments of a cron expression in a time zone. Nothing heavy.

What happens when clocks are changed is what RFC 5545 (section 3.3.5) says of calendars: a time that does not exist is
taken as far after midnight as on other days (02:30 becomes 03:30 on the night when 02:00 becomes 03:00), and of a time
that exists twice the first is meant. So a nightly run takes place once each night. Where the hour is `*` or a step of
it, slots follow the clock instead: none in the hour that is left out, and those of the hour that comes twice, twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from croniter import croniter

from components.catalog import nearest

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_PART = re.compile(r"(?P<first>\*|[0-9a-z]+)(?:-(?P<last>[0-9a-z]+))?(?:/(?P<step>[0-9]+))?")
_AROUND = timedelta(hours=3)
"""More than clocks are ever put forward or back."""
INSTANT = timedelta(microseconds=1)


def check_cron(text: str) -> None:
    """Raise ValueError, which says what is wrong, when it is no cron expression of five fields."""
    if text.startswith("@"):
        same = _MACROS.get(text.lower()) or _MACROS.get(nearest(text.lower(), list(_MACROS)) or "", "0 3 * * *")
        raise ValueError(f"{text!r} is not five fields; write {same!r}")
    fields = text.split()
    if len(fields) != len(FIELDS):
        hint = "; without seconds, which are not a field here" if len(fields) == len(FIELDS) + 1 else ""
        raise ValueError(
            f"{text!r} has {len(fields)} fields; expected five: minute, hour, day of month, month, day of week{hint}"
        )
    for field, (name, low, high, names) in zip(fields, FIELDS, strict=True):
        for part in field.lower().split(","):
            _check_part(part, f"{name} {field!r} of {text!r}", (low, high), names)
    try:
        croniter(text, datetime(2024, 1, 1)).get_next(datetime)
    except ValueError as error:
        raise ValueError(f"{text!r} never comes: there is no such day in any year") from error


def _check_part(part: str, where: str, bounds: tuple[int, int], names: tuple[str, ...]) -> None:
    match = _PART.fullmatch(part)
    if match is None:
        raise ValueError(f"{where}: {part!r} is none of *, a number, a range as 1-5, a step as */15, or a list of them")
    if match["step"] is not None and int(match["step"]) < 1:
        raise ValueError(f"{where}: a step is 1 or more, got {match['step']}")
    ends = [_number(text, where, bounds, names) for text in (match["first"], match["last"]) if text not in (None, "*")]
    if match["first"] == "*" and match["last"] is not None:
        raise ValueError(f"{where}: a range is between two values, got {part!r}")
    if len(ends) == 2 and ends[0] > ends[1]:
        raise ValueError(f"{where}: the range {part!r} runs backwards; write two ranges with a comma between them")


def _number(text: str, where: str, bounds: tuple[int, int], names: tuple[str, ...]) -> int:
    low, high = bounds
    if text.isdigit():
        if not low <= int(text) <= high:
            raise ValueError(f"{where}: {text} is not between {low} and {high}")
        return int(text)
    if text in names:
        return names.index(text) + low
    guess = nearest(text, list(names))
    known = f"a number from {low} to {high}" + (f" or one of {', '.join(names)}" if names else "")
    raise ValueError(f"{where}: {text!r} is not {known}" + (f"; did you mean {guess!r}?" if guess else ""))


def next_slot(cron: str, zone: tzinfo, after: datetime) -> datetime:
    """Return the first slot after a moment, in UTC.

    Args:
        cron: five fields.
        zone: the time zone in which they are meant.
        after: an aware time.

    Example:
        >>> from zoneinfo import ZoneInfo
        >>> next_slot("0 3 * * *", ZoneInfo("Europe/Berlin"), datetime(2026, 11, 24, 12, tzinfo=UTC)).isoformat()
        '2026-11-25T02:00:00+00:00'
    """
    local = after.astimezone(zone).replace(tzinfo=None)
    found: datetime | None = None
    for wall in _walls(cron, local - _AROUND):
        # later on the wall may be earlier in time only where clocks are changed
        if found is not None and wall > found.astimezone(zone).replace(tzinfo=None) + _AROUND:
            return found
        later = [moment for moment in _moments(wall, zone, _follows_clock(cron)) if moment > after]
        found = min([*later, found] if found else later, default=None)
    raise ValueError(f"{cron!r} never comes after {after}")


def _walls(cron: str, start: datetime) -> Iterator[datetime]:
    """Yield what a clock on the wall shows at the slots after `start`; time zones do not matter to it."""
    times = croniter(cron, start)
    while True:
        yield times.get_next(datetime)


def _follows_clock(cron: str) -> bool:
    return cron.split()[1].startswith("*")


def _moments(wall: datetime, zone: tzinfo, follows_clock: bool) -> list[datetime]:
    """Return the moments, in UTC, that a time on the wall stands for."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if not follows_clock or first == second:
        return [first]
    exists = first.astimezone(zone).replace(tzinfo=None, fold=0) == wall
    return [first, second] if exists else []
