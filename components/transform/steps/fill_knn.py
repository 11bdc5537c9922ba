"""Put the mean of the most similar rows where there is no value."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from components.transform.step import NUMBER, Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column, OtherColumns


class FillKnn(TransformStep):
    """Replaces a missing number by the mean of the k training rows that are most alike in other columns.

    Use it where other columns explain this one; it then comes closer to the truth than one value for all rows, and
    keeps the column's spread. Do not use it with columns that say nothing about this one (`fill_missing` is as good
    and cheaper), nor for more than some dozen columns, where all rows are equally far. Put it first in its chain; it
    fills a column with the values that the steps before it made.

    Distances are over standardised columns, and over those that both rows have. A row with none of them, or without
    any neighbour, gets the mean of the training rows. With fewer rows in the sample than k, it averages them all.

    Args:
        columns: numeric features that say which rows are alike, besides this one; from 1 to 64.
        k: neighbours; from 1 to `sample`, default 5.
        sample: how many different training rows the neighbours are looked for in, the ones with the smallest hash, so
            that they are the same on every machine; from 1 to 20,000, default 1000. They are part of the graph, and a
            missing value costs as many distances.
        metric: `euclidean` (default) or `manhattan`, which listens less to a single column that is far off.

    Shapes:
        `[batch, 1]` to `[batch, 1]`.

    Reference:
        Troyanskaya et al., Missing value estimation methods for DNA microarrays, Bioinformatics 17 (6), 2001. The
        distance is that of scikit-learn's `nan_euclidean_distances`.

    Example:
        >>> FillKnn(columns=["height", "age"]).read_columns()
        ('height', 'age')
    """

    shorthand: ClassVar[str | None] = "columns"
    accepts: ClassVar[frozenset[Kind]] = NUMBER
    read_kinds: ClassVar[frozenset[Kind]] = NUMBER
    completes: ClassVar[bool] = True

    columns: tuple[str, ...] = Field(min_length=1, max_length=64)
    k: int = Field(default=5, ge=1)
    sample: int = Field(default=1000, ge=1, le=20_000)
    metric: Literal["euclidean", "manhattan"] = "euclidean"

    @field_validator("columns")
    @classmethod
    def _each_once(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(columns)) < len(columns):
            raise ValueError("each column once")
        return columns

    @model_validator(mode="after")
    def _enough_rows(self) -> FillKnn:
        if self.k > self.sample:
            raise ValueError(f"k up to the size of the sample, {self.sample}; got k: {self.k}")
        return self

    def read_columns(self) -> tuple[str, ...]:
        """Return the columns of the distance."""
        return self.columns

    def apply(self, column: Column) -> Column:
        """Raise: there are always other columns, so it is called through `apply_with`."""
        raise TypeError(f"{self.plugin_name()} reads other columns than {column.name!r}")

    def apply_with(self, column: Column, others: OtherColumns) -> Column:
        """Return the column, complete."""
        import tensorflow as tf

        from components.transform.combiners import RowSample, combined
        from components.transform.neighbours import Neighbours

        points = tf.concat([tf.where(each.present, each.values, float("nan")) for each in others.read], axis=1)
        having = tf.where(column.present[:, 0])
        rows = (tf.gather_nd(others.row(), having), column.present_values, tf.gather_nd(points, having))
        found = combined("nearest_rows", RowSample(self.sample, len(self.columns)), *rows)
        reference, targets, counts, centre, scale, mean = found
        reference = (tf.cast(reference, tf.float64) - centre) / scale
        neighbours = Neighbours(reference, targets, counts, self.k, self.metric, mean)
        missing = tf.where(tf.logical_not(column.present[:, 0]))
        filled = neighbours.average((tf.cast(tf.gather_nd(points, missing), tf.float64) - centre) / scale)
        values = tf.tensor_scatter_nd_update(column.values, missing, filled[:, tf.newaxis])
        column = column.with_values(values, present=tf.ones_like(column.present), complete=True)
        return column.learning(fallback=mean, sample_rows=tf.reduce_sum(tf.cast(counts > 0, tf.int64)))
