"""Keys `data.series` and its columns: how a time series becomes rows of past values and one to come. Nothing heavy."""

from __future__ import annotations

import fnmatch
import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from components.catalog import nearest
from components.config import Section
from components.features import FeatureKind

_STEP = re.compile(r"^([1-9]\d*) ?(s|min|h|d|w)$")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


class RollingConfig(Section):
    """Statistics of the newest values, as columns such as `co2_mean_4`.

    Args:
        window: how many values, the newest one included; one number or several, each from 2.
        of: which statistics; `std` is that of the population.
    """

    window: tuple[Annotated[int, Field(ge=2, le=100_000)], ...] = Field(min_length=1)
    of: tuple[Literal["mean", "std", "min", "max"], ...] = Field(default=("mean",), min_length=1)

    @field_validator("window", "of", mode="before")
    @classmethod
    def _one_is_enough(cls, written: Any) -> Any:
        return (written,) if isinstance(written, int | str) else written


class SeriesConfig(Section):
    """Turns a time series into one row per window: past values are features, one to come is the label.

    When to use: a value is to be predicted from those before it. When not: rows that do not depend on their order.
    A model server gets rows like any other: `co2_lag_1` is the newest value, `co2_lag_2` the one before it.
    Wide form has several columns of values; long form names the series of each row in the column `by`.
    Columns that are not named here are left out of the rows.

    Args:
        time: column with numbers or ISO times; the rows may come in any order.
        values: the columns to make windows of: `NAME_lag_1` … `NAME_lag_PAST` and `NAME_ahead_AHEAD`.
        by: column that says which series a row belongs to; None when there is one. No window spans two.
        past: values in a window, 1 to 10,000.
        ahead: how many steps after the newest value the one to predict is, 1 to 10,000.
        every: a window starts at each n-th step.
        step: time from one value to the next, such as `15min`, `1h`, `7d`, `1w`, or a number where times are numbers.
            Rows further apart than that leave a gap. None takes each row for one step, whatever its time.
        fill_forward: a missing value takes the last one before it, at most so many steps old. A value to predict is
            never made up.
        gaps: `drop` leaves out windows that still miss a value, and counts them; `keep` leaves the value missing.
        rolling: statistics of the newest values; they look at the past alone.

    Raises:
        ValueError: a step that is none, or a name that stands twice.

    Reference:
        Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, section 5.8 (evaluation by time)
        and section 12.4 (lagged values as inputs of a network).

    Example:
        >>> series = SeriesConfig(time="date", values="co2", past=2, ahead=4, rolling={"window": 4})
        >>> series.feature_columns, series.label_columns
        (('co2_lag_1', 'co2_lag_2', 'co2_mean_4'), ('co2_ahead_4',))
    """

    time: str
    values: tuple[str, ...] = Field(min_length=1)
    by: str | None = None
    past: int = Field(ge=1, le=10_000)
    ahead: int = Field(default=1, ge=1, le=10_000)
    every: int = Field(default=1, ge=1, le=100_000)
    step: Annotated[float, Field(gt=0)] | str | None = Field(default=None, union_mode="left_to_right")
    fill_forward: int = Field(default=0, ge=0, le=100_000)
    gaps: Literal["drop", "keep"] = "drop"
    rolling: RollingConfig | None = None

    @field_validator("values", mode="before")
    @classmethod
    def _one_is_enough(cls, written: Any) -> Any:
        return (written,) if isinstance(written, str) else written

    @field_validator("step")
    @classmethod
    def _is_a_duration(cls, step: float | str | None) -> float | str | None:
        if isinstance(step, str) and not _STEP.match(step):
            raise ValueError(f"got step {step!r}; expected a number and a unit (s, min, h, d, w), such as 15min or 7d")
        return step

    @model_validator(mode="after")
    def _names_differ(self) -> SeriesConfig:
        names = [self.time, *self.values, *([self.by] if self.by else [])]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"time, values and by name column {twice[0]!r} twice; each column has one role")
        return self

    @property
    def step_seconds(self) -> float | None:
        """The step in seconds where it is a duration, else as it is written."""
        if not isinstance(self.step, str):
            return self.step
        count, unit = _STEP.findall(self.step)[0]
        return int(count) * _SECONDS[unit]

    @property
    def oldest_needed(self) -> int:
        """How many values up to the newest one a window looks at."""
        return max(self.past, *self.rolling.window) if self.rolling else self.past

    @property
    def feature_columns(self) -> tuple[str, ...]:
        """The columns that are known when a prediction is asked for."""
        lags = [f"{name}_lag_{lag}" for name in self.values for lag in range(1, self.past + 1)]
        return (*lags, *(f"{name}_{of}_{window}" for name in self.values for window, of in self.rolled))

    @property
    def rolled(self) -> tuple[tuple[int, str], ...]:
        """Each window with each of its statistics."""
        return tuple((window, of) for window in self.rolling.window for of in self.rolling.of) if self.rolling else ()

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns that hold what is to come."""
        return tuple(f"{name}_ahead_{self.ahead}" for name in self.values)

    def check_features(self, written: dict[str, FeatureKind]) -> dict[str, FeatureKind]:
        """Return the features with patterns such as `co2_lag_*` written out.

        Raises:
            ValueError: a feature is what is to come, or no column of the series.
        """
        context = [self.time, *([self.by] if self.by else [])]
        known = [*self.feature_columns, *context]
        found: dict[str, FeatureKind] = {}
        for name, kind in written.items():
            if name in self.label_columns:
                raise ValueError(f"feature {name!r} is a value to come, which no request can hold; take it out")
            matches = fnmatch.filter(self.feature_columns, name) if "*" in name else [name]
            if not matches or name in self.values or ("*" not in name and name not in known):
                guess = nearest(name, known)
                shown = ", ".join(dict.fromkeys([*self.feature_columns[:2], self.feature_columns[-1], *context]))
                hint = f"did you mean {guess!r}?" if guess else f"patterns such as {self.values[0]}_lag_* are fine"
                raise ValueError(f"feature {name!r} is no column that data.series makes ({shown}); {hint}")
            found |= dict.fromkeys(matches, kind)
        return found


def checked_features(series: SeriesConfig | None, features: dict[str, FeatureKind]) -> dict[str, FeatureKind]:
    """Return the features of a section with patterns written out; without a series there can be none.

    Raises:
        ValueError: a feature is no column that a request can hold.
    """
    if series is not None:
        return series.check_features(features)
    patterns = [name for name in features if "*" in name]
    if patterns:
        raise ValueError(f"feature {patterns[0]!r} is a pattern, which only the columns of data.series can have")
    return features
