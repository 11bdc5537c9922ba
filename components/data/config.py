"""Section `data`: where the raw rows are, what their columns mean, how they are split."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from components.config import Section
from components.data import database, spans
from components.data.series_config import SeriesConfig, checked_features
from components.expression import Expression
from components.features import FeatureKind


class SplitConfig(Section):
    """How rows are divided into `train` and `eval`; always the same rows for the same data.

    Args:
        by: `hash` of the row (what TFX does) or of `columns`; `ratio`: in the order of the file, the first part is
            for training; `time`: rows sorted by `columns[0]`, the oldest are for training.
        train, eval: relative sizes of the two splits.
        columns: what `hash` and `time` look at; all columns for `hash` when empty. Rows with equal values in them
            land in the same split. A row without a time counts as old.
    """

    by: Literal["hash", "ratio", "time"] = "hash"
    train: int = Field(default=2, ge=1, le=1_000_000)
    eval: int = Field(default=1, ge=1, le=1_000_000)
    columns: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _time_needs_one_column(self) -> SplitConfig:
        if self.by == "time" and len(self.columns) != 1:
            raise ValueError("a split by time needs columns: [COLUMN], the one column that holds the time")
        if self.by == "ratio" and self.columns:
            raise ValueError("a split by ratio follows the order of the file and takes no columns")
        return self


class LabelConfig(Section):
    """What the model learns to predict.

    In YAML a column's name (`label: price`) or a name and an expression (`label: {big_tip: tips > 0.2 * fare}`).

    Args:
        name: name of the label in reports.
        expression: arithmetic over columns, or one column's name.
    """

    name: str
    expression: str

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, written: Any) -> Any:
        if isinstance(written, str):
            return {"name": written, "expression": written}
        if isinstance(written, dict) and len(written) == 1:
            ((name, expression),) = written.items()
            return {"name": name, "expression": expression}
        return written

    @field_validator("expression")
    @classmethod
    def _parses(cls, text: str) -> str:
        Expression(text)
        return text

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns it is computed from."""
        return Expression(self.expression).columns


class QuarantineLimit(Section):
    """How many bad rows may be set aside before the run stops.

    Args:
        max_fraction: largest share of all rows.
    """

    max_fraction: float = Field(default=0.01, ge=0, le=1)


class WindowConfig(Section):
    """How many spans a run reads, where `data.path` stands for spans.

    In YAML a number (`window: 30`, `window: 30 spans`) or both keys.

    Args:
        spans: the newest one and those before it, at most this many.
        gaps: `error` refuses a window in which a span is missing; `skip` reads those that are there.
    """

    spans: int = Field(default=1, ge=1, le=100_000)
    gaps: Literal["error", "skip"] = "error"

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, written: Any) -> Any:
        if isinstance(written, str) and written.split()[1:] in (["spans"], ["span"]):
            written = written.split()[0]
        return {"spans": written} if isinstance(written, str | int) else written


class IngestConfig(Section):
    """The part of the section that the component ExampleGen depends on.

    Args:
        format, split, on_bad_row, quarantine: as in `DataConfig`.
        numeric: the columns that must hold numbers or nothing.
        images: the columns of a table that name image files.
        window, series, query: as in `DataConfig`.
    """

    format: Literal["auto", "csv", "parquet", "tfrecord", "images"] = "auto"
    split: SplitConfig = SplitConfig()
    on_bad_row: Literal["error", "quarantine"] = "error"
    quarantine: QuarantineLimit = QuarantineLimit()
    numeric: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    window: WindowConfig = WindowConfig()
    series: SeriesConfig | None = None
    query: str | None = None

    def selection(self, span: int | None) -> spans.Selection:
        """Return which spans are read, counted back from `span`, or from the newest one."""
        return spans.Selection(span, self.window.spans, self.window.gaps)


class DataConfig(Section):
    """The raw data.

    Args:
        path: a file, a glob or a directory (CSV, Parquet or TFRecord of tf.Examples), also `s3://…` and `gs://…`;
            `package:NAME/FILE` is a file inside an installed Python package. Relative paths start at the spec's folder.
            `{SPAN}`, `{VERSION}`, or `{YYYY}`, `{MM}` and `{DD}` in it stand for spans, as in TFX: portions that arrive
            one after another, of each its newest version. `sqlite:///FILE` and `postgresql://USER@HOST/DATABASE` are
            databases; the password of a server comes from PGPASSWORD or ~/.pgpass.
        span: the newest span to read, by number or, where the path has a date, also by date; None takes the newest.
        window: how many spans up to that one.
        format: `auto` goes by the ending: .csv, .parquet, .tfrecord, .gz behind any of them, or takes a folder of
            images, `CLASS/FILE.jpg` (.png, .gif, .bmp): rows of `image` (its bytes), `label` (its folder) and `path`.
        query: the SELECT whose rows are the data, where the path names a database. A server is asked at every plan
            whether they have changed; `now()` or `random()` in it make them always new.
        series: turns a time series into rows of past values, split by time; None takes the rows as they are.
        split: how rows are divided.
        label: what to predict.
        weight: column with the weight of each example; None weighs all the same.
        features: column name to `numeric`, `categorical` or `image`; other columns are kept but not given to the model.
            An image is the path of a file, from the table's folder, whose bytes take its place when the data are read.
        schema_file: a curated TFMD schema (.pbtxt) that the data must obey; None infers one from the data.
        anomalies: `stop` ends the run when data break the schema; `report` writes them into the report only.
        drift: largest L-infinity distance of a categorical column's (Jensen-Shannon of a numeric column's)
            distribution, against the last blessed run's training data; None does not look.
        skew: the same between train and eval splits; None does not look. For numbers TFDV estimates it from deciles:
            two random parts of the taxi data come out up to 0.15 apart, so begin at 0.3.
        on_bad_row: `error` stops at the first bad row; `quarantine` sets bad rows aside, counts them in the report and
            goes on.
        quarantine: limit for `on_bad_row: quarantine`.
    """

    path: str = Field(min_length=1)
    span: int | date | None = Field(default=None, union_mode="left_to_right")
    window: WindowConfig = WindowConfig()
    format: Literal["auto", "csv", "parquet", "tfrecord", "images"] = "auto"
    query: str | None = Field(default=None, min_length=1)
    series: SeriesConfig | None = None
    split: SplitConfig = SplitConfig()
    label: LabelConfig
    weight: str | None = None
    features: dict[str, FeatureKind] = Field(min_length=1)
    schema_file: str | None = None
    anomalies: Literal["stop", "report"] = "stop"
    drift: float | None = Field(default=None, gt=0, le=1)
    skew: float | None = Field(default=None, gt=0, le=1)
    on_bad_row: Literal["error", "quarantine"] = "error"
    quarantine: QuarantineLimit = QuarantineLimit()

    @field_validator("path")
    @classmethod
    def _placeholders_are_known(cls, path: str) -> str:
        spans.check_pattern(path)
        return path

    @field_validator("path")
    @classmethod
    def _holds_no_password(cls, path: str) -> str:
        database.check_no_password(path)
        return path

    @model_validator(mode="before")
    @classmethod
    def _series_split_by_time(cls, written: Any) -> Any:
        """Complete the split of a series, which can only go by its time."""
        series = written.get("series") if isinstance(written, dict) else None
        if not isinstance(series, dict) or "time" not in series:
            return written
        split = written.get("split", {})
        if isinstance(split, dict) and split.get("by", "time") == "time" and not split.get("columns"):
            return {**written, "split": {**split, "by": "time", "columns": [series["time"]]}}
        return written

    @model_validator(mode="after")
    def _fits_the_series(self) -> DataConfig:
        if self.series is not None and (self.split.by, self.split.columns) != ("time", (self.series.time,)):
            raise ValueError(
                f"a series is split by its time, since windows overlap and a split by {self.split.by} of "
                f"{', '.join(self.split.columns) or 'rows'} would show training what is evaluated; "
                f"write split: {{train: {self.split.train}, eval: {self.split.eval}}}"
            )
        # object.__setattr__: the model is frozen for everybody else
        object.__setattr__(self, "features", checked_features(self.series, self.features))
        return self

    @model_validator(mode="after")
    def _a_database_needs_a_query(self) -> DataConfig:
        database.check_query(self.path, self.query)
        return self

    @model_validator(mode="after")
    def _spans_need_a_placeholder(self) -> DataConfig:
        if not spans.has_placeholder(self.path) and (self.span is not None or self.window != WindowConfig()):
            raise ValueError("span and window need a path with {SPAN}, or with {YYYY}, {MM} and {DD}, in it")
        if isinstance(self.span, date) and "{YYYY" not in self.path:
            raise ValueError("a span is given by date only where the path has {YYYY}, {MM} and {DD} in it")
        return self

    def at_span(self, span: str) -> DataConfig:
        """Return the section with another newest span; the same when the text, a number or a date, is empty."""
        return DataConfig.model_validate(self.model_dump(mode="json") | {"span": span}) if span else self

    @property
    def selection(self) -> spans.Selection:
        """Which spans a run reads."""
        chosen = spans.number_of(self.span) if isinstance(self.span, date) else self.span
        return self.ingest.selection(chosen)

    @property
    def used_columns(self) -> tuple[str, ...]:
        """The raw columns that the model or the label is computed from, sorted."""
        weight = (self.weight,) if self.weight else ()
        return tuple(sorted({*self.features, *self.label.columns, *weight}))

    @property
    def numeric_columns(self) -> tuple[str, ...]:
        """The raw columns that must hold numbers or nothing, sorted.

        A label that is one column as it stands may hold text too, so it is not among them.
        """
        expression = Expression(self.label.expression)
        numeric = {name for name, kind in self.features.items() if kind is FeatureKind.NUMERIC}
        if self.label.columns != (self.label.expression.strip(),):
            numeric.update(set(expression.columns) - set(expression.text_columns))
        if self.weight:
            numeric.add(self.weight)
        return tuple(sorted(numeric))

    @property
    def image_columns(self) -> tuple[str, ...]:
        """The raw columns that hold images or their paths, sorted."""
        return tuple(sorted(name for name, kind in self.features.items() if kind is FeatureKind.IMAGE))

    @property
    def ingest(self) -> IngestConfig:
        """What ExampleGen depends on."""
        return IngestConfig(
            format=self.format,
            split=self.split,
            on_bad_row=self.on_bad_row,
            quarantine=self.quarantine,
            numeric=self.series.values if self.series else self.numeric_columns,
            images=self.image_columns,
            window=self.window,
            series=self.series,
            query=self.query,
        )
