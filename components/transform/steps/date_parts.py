"""Take a date apart: calendar parts, their place in the cycle, days since another date."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from components.transform.step import Kind, SourceStep

if TYPE_CHECKING:
    from components.transform.column import Column

Part = Literal["year", "month", "day", "weekday", "hour", "day_of_year"]
CyclicPart = Literal["month", "day", "weekday", "hour", "day_of_year"]


class DateParts(SourceStep):
    """Reads a date or a time and gives the model the numbers of the calendar in it.

    Use it in a chain of a new name. `cyclic` parts are what a neural network reads: December lies beside January. Take
    one of `parts` alone where it goes on to `bucketize`, or to a model of trees. Times of summer and winter time are
    not told apart; convert them before.

    Text is ISO 8601: `2013-10-01`, `2013-10-01T17:45`, `2013-10-01 17:45:00.5+02:00`, ending in Z or an offset or
    neither; a text of digits alone, and a number, is a count since 1970 in UTC. Anything else, a 30th of February
    too, is missing. A date without a time is at 0 o'clock. Declare a count categorical to read it to the second: as a
    numeric feature it is a float32, which is a minute off today.

    Args:
        column: name of a feature, categorical or numeric.
        parts: as plain numbers, in this order: any of `year`, `month` 1 to 12, `day` of the month from 1, `weekday`
            from Monday 0 to Sunday 6, `hour` 0 to 23, `day_of_year` from 1.
        cyclic: as a sine and a cosine each: any of `month`, `day`, `weekday`, `hour` (with its minutes and seconds)
            and `day_of_year`. By default month, weekday and hour, when nothing else is asked for.
        since: a date; adds the days from it, with their fraction, negative before it.
        epoch_unit: of counts: `seconds` or `milliseconds`.
        utc_offset_hours: local time minus UTC, -14 to 14: added to counts and to times that end in Z or an offset.

    Shapes:
        a raw feature `[batch, 1]` to number `[batch, 1]` when a single one is asked for, else to a vector
        `[batch, len(parts) + 2 * len(cyclic) + 1 for since]`, zeros where missing. Learns nothing from the data.

    Raises:
        ValueError: a part is named twice.

    Reference:
        Hinnant, chrono-Compatible Low-Level Date Algorithms, 2013.

    Example:
        >>> DateParts(column="pickup").cyclic
        ('month', 'weekday', 'hour')
        >>> DateParts(column="pickup", parts=["year"], since="2013-01-01").width
        2
    """

    shorthand: ClassVar[str | None] = "column"
    makes: ClassVar[Kind | None] = "vector"

    column: str
    parts: tuple[Part, ...] = ()
    cyclic: tuple[CyclicPart, ...] | None = None
    since: datetime.date | None = None
    epoch_unit: Literal["seconds", "milliseconds"] = "seconds"
    utc_offset_hours: float = Field(default=0.0, ge=-14, le=14)

    @model_validator(mode="before")
    @classmethod
    def _default_cycles(cls, written: object) -> object:
        if isinstance(written, dict) and not any(written.get(key) for key in ("parts", "cyclic", "since")):
            return written | {"cyclic": ("month", "weekday", "hour")}
        return written

    @model_validator(mode="after")
    def _each_once(self) -> DateParts:
        for name, parts in (("parts", self.parts), ("cyclic", self.cyclic or ())):
            if len(set(parts)) < len(parts):
                raise ValueError(f"each of {name} once, got {', '.join(parts)}")
        return self

    @property
    def width(self) -> int:
        """How many numbers a row becomes."""
        return len(self.parts) + 2 * len(self.cyclic or ()) + (self.since is not None)

    def gives(self, kind: Kind) -> Kind:
        """Return number for a single one."""
        del kind
        return "number" if self.width == 1 else "vector"

    def source_columns(self) -> tuple[str, ...]:
        """Return the feature."""
        return (self.column,)

    def combine(self, name: str, columns: Sequence[Column]) -> Column:
        """Return the numbers."""
        import tensorflow as tf

        from components.transform.calendar import Calendar, parse_times
        from components.transform.column import Column

        (column,) = columns
        per_second = 1 if self.epoch_unit == "seconds" else 1000
        seconds, valid = parse_times(column.values, per_second, self.utc_offset_hours)
        present = column.present & valid
        times = Calendar(tf.where(present, seconds, tf.zeros_like(seconds)))
        made = [tf.cast(times.part(part), tf.float64) for part in self.parts]
        for part in self.cyclic or ():
            angle = times.angle(part)
            made += [tf.sin(angle), tf.cos(angle)]
        if self.since is not None:
            made.append(times.days_since(self.since))
        values = tf.cast(tf.concat(made, axis=1), tf.float32)
        return Column(name, self.gives("text"), tf.where(present, values, tf.zeros_like(values)), present)
