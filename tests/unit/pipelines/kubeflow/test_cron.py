"""Schedules as Kubeflow's scheduler reads them fire when the spec means, or are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from components.errors import SpecError
from pipelines.kubeflow.cron import kfp_cron
from pipelines.schedule.config import ScheduleConfig

CRONS = (
    "30 3 * * mon-fri",
    "0 3 * * *",
    "*/15 * * * *",
    "5/20 4 * * *",
    "0 22-23 * * sun,sat",
    "15 1 * * 5-7",
    "0 0 1 * *",
    "0 1 1,15 * 1",
    "0 */6 * * 7",
    "0 3 */2 * 1",
    "45 23 * 2-4 *",
    "0,30 8-18/2 * * 1-5",
    "0 3 * jan-mar 0-6",
)
ZONES = ("UTC", "Asia/Tokyo", "Asia/Kolkata", "America/Phoenix")
CANNOT_BE_TOLD = {
    # on the server they come before or after midnight, on another day of the month
    *((cron, zone) for cron in ("0 0 1 * *", "0 1 1,15 * 1", "0 3 */2 * 1") for zone in ("Asia/Tokyo", "Asia/Kolkata")),
    ("45 23 * 2-4 *", "America/Phoenix"),
    ("0 3 * jan-mar 0-6", "Asia/Tokyo"),
    ("0 3 * jan-mar 0-6", "Asia/Kolkata"),
    # some of a day's slots come on the day before, others do not
    *(("0 */6 * * 7", zone) for zone in ZONES[1:]),
    *(("0,30 8-18/2 * * 1-5", zone) for zone in ZONES[1:]),
    # half an hour apart, the minutes are not the same in every hour
    ("5/20 4 * * *", "Asia/Kolkata"),
}


def slots(cron: str, zone: str) -> list[datetime]:
    """The first slots of a year, in UTC."""
    schedule = ScheduleConfig(cron=cron, time_zone=zone)
    found = [datetime(2027, 1, 1, 0, 7, tzinfo=UTC)]
    while len(found) <= 40:
        found.append(schedule.next_slot(found[-1]) or found[0])
    return list(islice(found, 1, None))


def five_fields(kfp: str) -> str:
    seconds, *others = kfp.split()
    assert seconds == "0"
    assert len(others) == 5
    return " ".join(others)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", CRONS)
def test_what_is_told_to_the_server_fires_at_the_same_moments(cron: str, zone: str) -> None:
    if (cron, zone) in CANNOT_BE_TOLD:
        with pytest.raises(SpecError, match="CRON_SCHEDULE_TIMEZONE"):
            kfp_cron(cron, zone)
    else:
        assert slots(five_fields(kfp_cron(cron, zone)), "UTC") == slots(cron, zone)


def test_days_of_the_week_move_with_the_date() -> None:
    assert kfp_cron("0 3 * * mon", "Asia/Tokyo") == "0 0 18 * * 0"
    assert kfp_cron("0 22 * * sat", "America/Phoenix") == "0 0 5 * * 0"


def test_names_and_sunday_as_7_become_the_numbers_that_the_scheduler_knows() -> None:
    assert kfp_cron("0 0 * jun sun", "UTC") == "0 0 0 * 6 0"
    assert kfp_cron("0 0 * * 7", "UTC") == "0 0 0 * * 0"


def test_a_zone_that_changes_its_clocks_is_refused_with_three_ways_out() -> None:
    with pytest.raises(
        SpecError, match="got '0 3 \\* \\* \\*' in Europe/Berlin, while the server counts in UTC"
    ) as refused:
        kfp_cron("0 3 * * *", "Europe/Berlin")
    assert "CRON_SCHEDULE_TIMEZONE" in str(refused.value)
    assert "--server-time-zone Europe/Berlin" in str(refused.value)
    assert "CronJob" in str(refused.value)


def test_zones_that_change_their_clocks_together_need_no_refusal() -> None:
    assert kfp_cron("0 3 * * *", "Europe/Berlin", "Europe/Paris") == "0 0 3 * * *"
    assert kfp_cron("0 3 * * *", "Europe/Berlin", "Europe/London") == "0 0 2 * * *"


def test_zones_that_change_their_clocks_on_other_days_are_refused() -> None:
    assert ZoneInfo("America/New_York")
    with pytest.raises(SpecError, match="all year"):
        kfp_cron("0 3 * * *", "Europe/Berlin", "America/New_York")


def test_every_hour_is_every_hour_everywhere_but_not_on_one_day() -> None:
    assert kfp_cron("0 * * * *", "Asia/Tokyo") == "0 0 * * * *"
    with pytest.raises(SpecError, match="schedule.time_zone"):
        kfp_cron("0 * * * mon", "Asia/Tokyo")
