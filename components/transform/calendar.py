"""Read times and count in the calendar, inside the transform graph."""

from __future__ import annotations

import datetime
import math

import tensorflow as tf

DAY_SECONDS = 86_400
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""Seconds to the start of the year 1 and to the end of the year 9999: what ISO 8601 and Python's dates know."""

_TIME = (
    r"\s*(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(?:(Z)|([+-]\d{2}):?(\d{2}))?)?\s*"
)
_COUNT = r"\s*[+-]?\d{1,18}\s*"
_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)


def parse_times(values: tf.Tensor, counts_per_second: int, utc_offset_hours: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Return local seconds since 1970, int64, and where there is a time at all; both in the shape of the values.

    Args:
        values: ISO 8601 text or digits, or float32 counts since 1970.
        counts_per_second: of counts: 1, or 1000 for milliseconds.
        utc_offset_hours: local time minus UTC, added to what is in UTC.
    """
    offset = round(utc_offset_hours * 3600)
    if values.dtype != tf.string:
        # a cast of what int64 cannot hold is undefined
        in_range = tf.abs(values) < 9e18
        counts = tf.cast(tf.where(in_range, values, tf.zeros_like(values)), tf.int64)
        seconds = counts // counts_per_second + offset
        return seconds, in_range & _in_calendar(seconds)
    is_count = tf.strings.regex_full_match(values, _COUNT)
    digits = tf.strings.strip(tf.where(is_count, values, "0"))
    counted = tf.strings.to_number(digits, tf.int64) // counts_per_second + offset
    written, is_written = _iso(values, offset)
    seconds = tf.where(is_count, counted, written)
    return seconds, (is_count | is_written) & _in_calendar(seconds)


def _iso(text: tf.Tensor, offset: int) -> tuple[tf.Tensor, tf.Tensor]:
    matches = tf.strings.regex_full_match(text, _TIME)
    text = tf.where(matches, text, "1970-01-01")

    def group(number: int) -> tf.Tensor:
        found = tf.strings.regex_replace(text, f"^{_TIME}$", rf"\{number}")
        return tf.strings.to_number(tf.where(tf.equal(found, ""), "0", found), tf.int64)

    year, month, day, hour, minute, second = (group(number) for number in range(1, 7))
    valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59)
    month = tf.clip_by_value(month, 1, 12)
    valid &= day <= _days_before(year, month + 1) - _days_before(year, month)
    seconds = (_days_from_civil(year, month, day) * 24 + hour) * 3600 + minute * 60 + second

    zone = tf.strings.regex_replace(text, f"^{_TIME}$", r"\7\8")
    is_utc = tf.not_equal(zone, "")
    ahead_hours, ahead_minutes = group(8), group(9)
    valid &= (tf.abs(ahead_hours) <= 14) & (ahead_minutes <= 59)
    # -00:30 is negative too
    sign = tf.where(tf.strings.regex_full_match(zone, "-.*"), tf.constant(-1, tf.int64), tf.constant(1, tf.int64))
    ahead = sign * (tf.abs(ahead_hours) * 3600 + ahead_minutes * 60)
    return tf.where(is_utc, seconds - ahead + offset, seconds), matches & valid


class Calendar:
    """The proleptic Gregorian calendar of some times.

    Args:
        seconds: since 1970, int64.
    """

    def __init__(self, seconds: tf.Tensor) -> None:
        self._days = seconds // DAY_SECONDS
        self._second_of_day = seconds - self._days * DAY_SECONDS
        # days since 1 March of the year 0, in eras of 400 years, which are all alike
        shifted = self._days + 719_468
        era = shifted // 146_097
        day_of_era = shifted - era * 146_097
        year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
        day_from_march = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
        month_from_march = (5 * day_from_march + 2) // 153
        self._day = day_from_march - (153 * month_from_march + 2) // 5 + 1
        self._month = tf.where(month_from_march < 10, month_from_march + 3, month_from_march - 9)
        self._year = year_of_era + era * 400 + tf.cast(self._month <= 2, tf.int64)

    def part(self, name: str) -> tf.Tensor:
        """Return `year`, `month`, `day`, `weekday`, `hour` or `day_of_year`, int64."""
        match name:
            case "year":
                return self._year
            case "month":
                return self._month
            case "day":
                return self._day
            case "weekday":
                return (self._days + 3) % 7  # 1970 began on a Thursday
            case "hour":
                return self._second_of_day // 3600
            case "day_of_year":
                return _days_before(self._year, self._month) + self._day
        raise ValueError(f"no part {name!r}")

    def angle(self, name: str) -> tf.Tensor:
        """Return how far a part is through its cycle, `0 … 2 * pi`, float64."""
        if name == "hour":
            done, whole = self._second_of_day, tf.constant(DAY_SECONDS, tf.int64)
        elif name == "weekday":
            done, whole = self.part("weekday"), tf.constant(7, tf.int64)
        elif name == "month":
            done, whole = self._month - 1, tf.constant(12, tf.int64)
        elif name == "day":
            length = _days_before(self._year, self._month + 1) - _days_before(self._year, self._month)
            done, whole = self._day - 1, length
        else:
            done, whole = self.part("day_of_year") - 1, 365 + _is_leap(self._year)
        return tf.cast(done, tf.float64) / tf.cast(whole, tf.float64) * (2 * math.pi)

    def days_since(self, date: datetime.date) -> tf.Tensor:
        """Return days with their fraction, float64."""
        days = self._days - (date - datetime.date(1970, 1, 1)).days
        return tf.cast(days, tf.float64) + tf.cast(self._second_of_day, tf.float64) / DAY_SECONDS


def _in_calendar(seconds: tf.Tensor) -> tf.Tensor:
    return (seconds >= _FIRST) & (seconds <= _LAST)


def _is_leap(year: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.equal(year % 4, 0) & (tf.not_equal(year % 100, 0) | tf.equal(year % 400, 0)), tf.int64)


def _days_before(year: tf.Tensor, month: tf.Tensor) -> tf.Tensor:
    """Return the days of the year before its month 1 to 12, or before the next year for 13."""
    before = tf.gather(tf.constant(_BEFORE_MONTH, tf.int64), month - 1)
    return before + tf.where(month > 2, _is_leap(year), tf.zeros_like(year))


def _days_from_civil(year: tf.Tensor, month: tf.Tensor, day: tf.Tensor) -> tf.Tensor:
    past = year - 1
    return past * 365 + past // 4 - past // 100 + past // 400 + _days_before(year, month) + day - 1 - 719_162
