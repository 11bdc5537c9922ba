"""The slots of a cron expression, also when clocks are changed, and what is no cron expression."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipelines.schedule.config import ScheduleConfig
from pipelines.schedule.cron import next_slot

BERLIN = "Europe/Berlin"


def shown(cron: str, first: str, last: str, zone: str = BERLIN) -> list[str]:
    """Return the slots of some days as a clock on the wall shows them, with the offset from UTC in hours."""
    schedule = ScheduleConfig(cron=cron, time_zone=zone)
    begin, end = (datetime.fromisoformat(day).replace(tzinfo=schedule.zone) for day in (first, last))
    found = [slot.astimezone(schedule.zone) for slot in schedule.slots(begin - timedelta(microseconds=1), end)]
    return [f"{slot:%d %H:%M} {slot.utcoffset() / timedelta(hours=1):+g}" for slot in found]


def test_slots_are_on_the_wall_clock_of_the_time_zone():
    assert shown("0 3 * * *", "2026-11-23", "2026-11-25") == ["23 03:00 +1", "24 03:00 +1"]
    assert shown("15 6 * * mon-fri", "2026-11-20", "2026-11-25") == ["20 06:15 +1", "23 06:15 +1", "24 06:15 +1"]
    assert shown("0 12 1,15 * *", "2026-06-01", "2026-07-01", "Asia/Kolkata") == ["01 12:00 +5.5", "15 12:00 +5.5"]


def test_a_day_of_the_month_and_one_of_the_week_mean_either():
    assert shown("0 3 13 * fri", "2026-11-01", "2026-11-15") == ["06 03:00 +1", "13 03:00 +1"]
    assert shown("0 3 3 * fri", "2026-11-01", "2026-11-08") == ["03 03:00 +1", "06 03:00 +1"]


def test_a_nightly_time_that_does_not_exist_is_as_far_after_midnight_as_ever():
    assert shown("30 2 * * *", "2026-03-28", "2026-03-31") == ["28 02:30 +1", "29 03:30 +2", "30 02:30 +2"]


def test_a_nightly_time_that_exists_twice_is_meant_once():
    assert shown("30 2 * * *", "2026-10-24", "2026-10-27") == ["24 02:30 +2", "25 02:30 +2", "26 02:30 +1"]


def test_hourly_slots_follow_the_clock_over_its_change():
    forward = shown("*/30 * * * *", "2026-03-29 01:00", "2026-03-29 03:30")
    assert forward == ["29 01:00 +1", "29 01:30 +1", "29 03:00 +2", "29 03:30 +2"]
    back = shown("0 */1 * * *", "2026-10-25 01:00", "2026-10-25 03:00")
    assert back == ["25 01:00 +2", "25 02:00 +2", "25 02:00 +1", "25 03:00 +1"]


def test_clocks_that_move_by_half_an_hour_are_no_exception():
    days = shown("15 2 * * *", "2026-10-03", "2026-10-06", "Australia/Lord_Howe")
    assert days == ["03 02:15 +10.5", "04 02:45 +11", "05 02:15 +11"]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 23),
    st.integers(0, 59),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Santiago", "UTC"]),
    st.dates(date(2024, 1, 1), date(2027, 1, 1)),
)
def test_a_nightly_slot_comes_once_every_day_of_the_year(hour, minute, zone, start):
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)
    schedule = ScheduleConfig(cron=f"{minute} {hour} * * *", time_zone=zone)
    found = schedule.slots(begin, begin + timedelta(days=40))
    days = [slot.astimezone(schedule.zone).date() for slot in found]
    assert days == [days[0] + timedelta(days=count) for count in range(len(days))]
    assert len(days) in (39, 40, 41)


def test_the_slot_after_a_slot_is_a_later_one():
    slot = datetime(2026, 11, 24, 2, tzinfo=UTC)
    assert next_slot("0 3 * * *", ZoneInfo(BERLIN), slot) == slot + timedelta(days=1)
    assert next_slot("0 3 * * *", ZoneInfo(BERLIN), slot - timedelta(seconds=1)) == slot


def test_no_slot_lies_outside_of_start_and_end():
    schedule = ScheduleConfig(cron="0 3 * * *", time_zone=BERLIN, start=date(2026, 11, 20), end="2026-11-22T03:00:00")
    first = schedule.next_slot(datetime(2020, 1, 1, tzinfo=UTC))
    assert first == datetime(2026, 11, 20, 2, tzinfo=UTC)
    assert len(schedule.slots(datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))) == 3
    assert schedule.next_slot(datetime(2026, 11, 22, 2, tzinfo=UTC)) is None


def test_a_start_that_is_a_slot_counts():
    schedule = ScheduleConfig(cron="0 3 * * *", start=datetime(2026, 11, 20, 3, tzinfo=UTC))
    assert schedule.next_slot(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 11, 20, 3, tzinfo=UTC)


def test_the_slot_before_a_moment_is_found_however_long_ago_it_was():
    now = datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert ScheduleConfig(cron="* * * * *").slot_before(now) == now - timedelta(minutes=1)
    assert ScheduleConfig(cron="0 3 * * *").slot_before(now) == datetime(2026, 11, 24, 3, tzinfo=UTC)
    assert ScheduleConfig(cron="0 0 29 2 *").slot_before(now) == datetime(2024, 2, 29, tzinfo=UTC)
    assert ScheduleConfig(cron="0 3 * * *", start=now).slot_before(now) is None


def test_a_cron_expression_alone_is_a_schedule():
    written = ScheduleConfig.model_validate("0  3 * * *")
    assert (written.cron, written.time_zone, written.catch_up, written.max_concurrency) == (
        "0 3 * * *",
        "UTC",
        False,
        1,
    )
    assert ScheduleConfig.model_validate(written.model_dump(mode="json")) == written


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"cron": "0 3 * *"}, "has 4 fields; expected five: minute, hour"),
        ({"cron": "0 0 3 * * *"}, "has 6 fields.*without seconds"),
        ({"cron": "61 3 * * *"}, "minute '61' of '61 3 .*: 61 is not between 0 and 59"),
        ({"cron": "0 24 * * *"}, "hour '24' .*not between 0 and 23"),
        ({"cron": "0 3 * * mno"}, "day of week 'mno'.*did you mean 'mon'"),
        ({"cron": "0 3 * jab *"}, "month 'jab'.*did you mean 'jan'"),
        ({"cron": "0 3 L * *"}, "day of month 'L'.*a number from 1 to 31"),
        ({"cron": "0 3 * * fri#2"}, "'fri#2' is none of"),
        ({"cron": "*/0 * * * *"}, "a step is 1 or more, got 0"),
        ({"cron": "0 5-1 * * *"}, "runs backwards"),
        ({"cron": "0 *-5 * * *"}, "between two values"),
        ({"cron": "0 3 31 2 *"}, "never comes"),
        ({"cron": "@daily"}, "is not five fields; write '0 0 \\* \\* \\*'"),
        ({"cron": "@weekli"}, "write '0 0 \\* \\* 0'"),
        ({"time_zone": "Europe/Berln"}, "no time zone of the IANA database; did you mean 'Europe/Berlin'"),
        ({"time_zone": "Berlin"}, "did you mean 'Europe/Berlin'"),
        ({"time_zone": "Mars"}, "write it as Europe/Berlin or UTC"),
        ({"max_concurrency": 0}, "greater than or equal to 1"),
        ({"max_concurrency": 11}, "less than or equal to 10"),
        ({"start": "2026-11-24", "end": "2026-11-24"}, "is not before end"),
    ],
)
def test_a_wrong_schedule_says_what_is_wrong(keys, message):
    with pytest.raises(ValidationError, match=message):
        ScheduleConfig.model_validate({"cron": "0 3 * * *"} | keys)
