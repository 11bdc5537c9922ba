"""Cleaning step `drop_outliers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from components.cleaning.step import Learned, LearningStep, Summary

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

PRECISION = 1 << 16
"""Values are told apart to one part in this: a summary stays small however many rows there are."""

DEFAULT_LIMITS = {"iqr": 1.5, "z_score": 3.0, "quantile": 0.01}


def _as_names(written: Any) -> Any:
    return (written,) if isinstance(written, str) else written


class DropOutliers(LearningStep):
    """Drops a train row when a number lies outside limits that are learned from the train rows.

    Use it when a few extreme rows, which no limit known beforehand tells, pull the fit away. Do not use it to make
    live requests behave: they are not dropped, so clip them in `transform` with `clip_outliers`. Rows of the eval
    split stay, since leaving the hard ones out would flatter every metric.

    Args:
        columns: columns of numbers, each with limits of its own; a row goes when any of them is outside. No default.
        method: `iqr`, outside the quartiles by more than `limit` times the distance between them (Tukey's fences);
            `z_score`, more than `limit` standard deviations from the mean; `quantile`, below the quantile `limit` or
            above the quantile 1 - `limit`. Default: `iqr`.
        limit: of the method, above 0; for `quantile` below 0.5. Default: 1.5, 3 or 0.01.

    Shapes:
        numbers `[rows]` → booleans `[rows]`. Missing values (null or NaN) and infinite ones are not learned from;
        missing ones stay. Quartiles and quantiles are values that occur, to one part in 65,536.

    Raises:
        ValueError: no column is named, or a quantile is not below 0.5.

    Reference:
        Tukey, J. W. (1977). Exploratory Data Analysis. Addison-Wesley. (the fences)

    Example:
        >>> import pyarrow as pa
        >>> step = DropOutliers(columns=("fare",))
        >>> step.keep(pa.record_batch({"fare": pa.array([5.0, 6.0, None, 7.0, 8.0, 900.0])})).to_pylist()
        [True, True, True, True, True, False]
    """

    shorthand: ClassVar[str | None] = "columns"
    columns: Annotated[tuple[str, ...], BeforeValidator(_as_names)] = Field(min_length=1)
    method: Literal["iqr", "z_score", "quantile"] = "iqr"
    limit: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _quantiles_leave_something(self) -> DropOutliers:
        if self.method == "quantile" and self.limit is not None and self.limit >= 0.5:
            raise ValueError(f"limit {self.limit:g} is no quantile below 0.5; no row could stay")
        return self

    def needed_columns(self) -> tuple[str, ...]:
        return self.columns

    def accepts(self) -> frozenset[str]:
        return frozenset({"number"})

    def summarize(self, batch: pa.RecordBatch) -> Summary:
        import numpy as np

        summary: Summary = {}
        for name in self.columns:
            values = _numbers(batch.column(name))
            mantissa, exponent = np.frexp(values[np.isfinite(values)])
            rounded = np.ldexp(np.rint(mantissa * PRECISION) / PRECISION, exponent)
            summary[name] = np.unique(rounded, return_counts=True)
        return summary

    def learn(self, summary: Summary) -> Learned:
        return {name: self._limits(*counted) for name, counted in summary.items() if len(counted[0])}

    def keep_by(self, learned: Learned, batch: pa.RecordBatch) -> pa.BooleanArray:
        import numpy as np
        import pyarrow as pa

        stay = np.ones(batch.num_rows, bool)
        for name, (smallest, largest) in learned.items():
            values = _numbers(batch.column(name))
            # what lies on a limit may be off by the rounding of the summary
            room = max(abs(smallest), abs(largest)) / PRECISION
            stay &= np.isnan(values) | ((values >= smallest - room) & (values <= largest + room))
        return pa.array(stay, pa.bool_())

    def _limits(self, values: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
        limit = self.limit or DEFAULT_LIMITS[self.method]
        if self.method == "z_score":
            mean = float((values * counts).sum() / counts.sum())
            spread = limit * float((((values - mean) ** 2 * counts).sum() / counts.sum()) ** 0.5)
            return mean - spread, mean + spread
        low, high = (0.25, 0.75) if self.method == "iqr" else (limit, 1 - limit)
        first, last = _quantile(values, counts, low), _quantile(values, counts, high)
        room = limit * (last - first) if self.method == "iqr" else 0.0
        return first - room, last + room


def _numbers(column: pa.Array) -> np.ndarray:
    import numpy as np
    import pyarrow as pa

    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def _quantile(values: np.ndarray, counts: np.ndarray, share: float) -> float:
    """Return the smallest value that at least this share of the rows does not exceed."""
    import numpy as np

    return float(values[np.searchsorted(np.cumsum(counts), share * counts.sum())])
