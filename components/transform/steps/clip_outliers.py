"""Pull extreme numbers back to a fence, or put something else in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    import tensorflow as tf

    from components.transform.column import Column

LIMITS: dict[str, tuple[str, Any]] = {
    "iqr": ("fences", 1.5),
    "z_score": ("deviations", 3.0),
    "quantile": ("quantiles", (0.01, 0.99)),
}
"""Method to the parameter that says how far its fences stand, and that parameter's default."""

Share = Annotated[float, Field(ge=0, le=1)]


class ClipOutliers(TransformStep):
    """Learns a low and a high fence, and clips or replaces the numbers beyond them.

    Use it before `z_score` on long-tailed columns. `iqr` stands its fences at `first quartile - fences * IQR` and
    `third quartile + fences * IQR`: do not use it where more than half of the values are equal, since the
    inter-quartile range is then 0 and every other value is an outlier. `z_score` suits columns that are about normal;
    outliers widen its own fences. `quantile` always finds some. To drop the rows instead, use cleaning.

    Args:
        method: `iqr`, Tukey's fences; `z_score`, standard deviations from the mean; `quantile`, shares of the rows.
        fences: for `iqr`: how many inter-quartile ranges beyond the quartiles; above 0; 1.5 by default.
        deviations: for `z_score`: how many standard deviations from the mean; above 0; 3 by default.
        quantiles: for `quantile`: `[low, high]`, 0 to 1; `[0.01, 0.99]` by default.
        action: `clip` to the fence, replace by the training `median`, or `missing`: no value, for a `fill_missing`
            behind it.

    Shapes:
        `[batch, 1]` to `[batch, 1]`. Missing values stay missing.

    Raises:
        ValueError: a limit of another method is given, or the quantiles are not ascending.

    Reference:
        Tukey, Exploratory Data Analysis, 1977.

    Example:
        >>> ClipOutliers().fences
        1.5
        >>> ClipOutliers(method="z_score").deviations
        3.0
    """

    shorthand: ClassVar[str | None] = "method"
    accepts: ClassVar[frozenset[Kind]] = NUMBER

    method: Literal["iqr", "z_score", "quantile"] = "iqr"
    fences: float | None = Field(default=None, gt=0)
    deviations: float | None = Field(default=None, gt=0)
    quantiles: tuple[Share, Share] | None = None
    action: Literal["clip", "median", "missing"] = "clip"

    @model_validator(mode="before")
    @classmethod
    def _default_limit(cls, written: Any) -> Any:
        if not isinstance(written, dict) or written.get("method", "iqr") not in LIMITS:
            return written
        name, default = LIMITS[written.get("method", "iqr")]
        return written | {name: default} if written.get(name) is None else written

    @model_validator(mode="after")
    def _limit_of_its_method(self) -> ClipOutliers:
        for method, (name, _) in LIMITS.items():
            if method != self.method and getattr(self, name) is not None:
                wanted = LIMITS[self.method][0]
                raise ValueError(f"{wanted} with method: {self.method}, got {name}, which method: {method} takes")
        if self.quantiles and self.quantiles[0] >= self.quantiles[1]:
            raise ValueError(f"quantiles in ascending order, got {list(self.quantiles)}")
        return self

    @property
    def makes_missing(self) -> bool:
        """True when it takes outliers away."""
        return self.action == "missing"

    def apply(self, column: Column) -> Column:
        """Return the column without outliers."""
        import tensorflow as tf

        from components.transform.column import finite_or
        from components.transform.value_counts import exact_quantiles

        low, high = self._fences(column)
        # without a training value there is nothing to be beyond of
        low, high = finite_or(low, tf.float32.min), finite_or(high, tf.float32.max)
        column = column.learning(low_fence=low, high_fence=high)
        inside = (column.values >= low) & (column.values <= high)
        if self.action == "clip":
            return column.with_values(tf.clip_by_value(column.values, low, high))
        if self.action == "missing":
            values = tf.where(inside, column.values, tf.zeros_like(column.values))
            return column.with_values(values, present=column.present & inside, complete=False)
        median = finite_or(exact_quantiles(column.present_values, [0.5])[0], 0.0)
        return column.with_values(tf.where(inside, column.values, median)).learning(median=median)

    def _fences(self, column: Column) -> tuple[tf.Tensor, tf.Tensor]:
        import tensorflow as tf
        import tensorflow_transform as tft

        from components.transform.value_counts import exact_quantiles

        values = column.present_values
        if self.quantiles is not None:
            found = exact_quantiles(values, self.quantiles)
            return found[0], found[1]
        if self.deviations is not None:
            mean = tft.mean(values)
            margin = self.deviations * tf.sqrt(tft.var(values))
            return mean - margin, mean + margin
        quartiles = tft.quantiles(values, num_buckets=4, epsilon=0.001)[0]
        margin = (self.fences or 0.0) * (quartiles[2] - quartiles[0])
        return quartiles[0] - margin, quartiles[2] + margin
