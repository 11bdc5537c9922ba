"""Times as text and as counts, against Python's own calendar."""

from __future__ import annotations

import calendar
import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def read(texts: list[str], per_second: int = 1, offset: float = 0.0) -> list[int | None]:
    import tensorflow as tf

    from components.transform.calendar import parse_times

    seconds, valid = (tensor.numpy()[:, 0] for tensor in parse_times(tf.constant(texts)[:, None], per_second, offset))
    return [int(second) if is_valid else None for second, is_valid in zip(seconds, valid, strict=True)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.datetimes(), min_size=1, max_size=50))
def test_parts_are_pythons(times: list[datetime.datetime]) -> None:
    import tensorflow as tf

    from components.transform.calendar import Calendar

    seconds = read([time.isoformat() for time in times])
    assert seconds == [calendar.timegm(time.timetuple()) for time in times]
    found = Calendar(tf.constant(seconds, tf.int64)[:, None])
    for part, expected in {
        "year": [time.year for time in times],
        "month": [time.month for time in times],
        "day": [time.day for time in times],
        "weekday": [time.weekday() for time in times],
        "hour": [time.hour for time in times],
        "day_of_year": [time.timetuple().tm_yday for time in times],
    }.items():
        assert found.part(part).numpy()[:, 0].tolist() == expected, part
    with pytest.raises(ValueError, match="no part 'minute'"):
        found.part("minute")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-02", 86_400),
        (" 1970-01-01 00:01 ", 60),
        ("1970-01-01T00:00:01.999", 1),
        ("1970-01-01T00:00:01,5Z", 1),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T02:00-0030", 9_000),
        ("2024-02-29", 1_709_164_800),
        ("0", 0),
        (" +12 ", 12),
        ("-86400", -86_400),
        ("253402300799", 253_402_300_799),
    ],
)
def test_a_time_is_read(text: str, expected: int) -> None:
    assert read([text]) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "",
        "2023-02-29",
        "1900-02-29",
        "2013-13-01",
        "2013-00-10",
        "2013-04-31",
        "2013-04-00",
        "0000-01-01",
        "2013-04-01T24:00",
        "2013-04-01T10:60",
        "2013-04-01T10:00:60",
        "2013-04-01T10:00+15:00",
        "2013-04-01T10",
        "01.04.2013",
        "2013-04-01\n2013-04-02",
        "253402300800",
        "999999999999999999999",
        "1.5",
        "żółty",
    ],
)
def test_what_is_no_time_is_missing(text: str) -> None:
    assert read([text, "1970-01-01"]) == [None, 0]


def test_only_what_is_in_utc_is_moved_to_local_time() -> None:
    texts = ["0", "1970-01-01T00:00Z", "1970-01-01T05:30+05:30", "1970-01-01T00:00"]
    assert read(texts, offset=-6) == [-21_600, -21_600, -21_600, 0]
    assert read(texts, offset=5.5)[:2] == [19_800, 19_800]


def test_counts_may_be_milliseconds() -> None:
    assert read(["1380593700999", "1970-01-02"], per_second=1000) == [1_380_593_700, 86_400]


def test_numbers_that_are_no_count_are_missing() -> None:
    import tensorflow as tf

    from components.transform.calendar import parse_times

    _, valid = parse_times(tf.constant([[0.0], [-5.0], [1e30], [-1e30], [3e11]]), 1, 0.0)
    assert valid.numpy()[:, 0].tolist() == [True, True, False, False, False]
