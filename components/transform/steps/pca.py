"""Condense several numeric features into a few that hold most of their variance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from components.transform.step import NUMBER, Kind, SourceStep

if TYPE_CHECKING:
    from components.transform.column import Column


class Pca(SourceStep):
    """Projects features on the directions in which the training rows differ most.

    Use it in a chain of a new name where many numeric features say nearly the same. Do not use it where a feature with
    little variance decides. Directions are learned from the rows that have all values; elsewhere a missing value counts
    as its column's mean, and a row without any value becomes zeros. A share of the variance cannot be asked for in
    place of a number of components: the model must know its inputs' width before the data are seen. The summary of
    Transform shows the share that each component holds.

    Args:
        columns: names of numeric features; from 2.
        components: width of the result; 1 to the number of columns.
        standardize: whether each column is divided by its standard deviation first; needed where units differ.
        whiten: whether each component gets variance 1, as a neural network likes it.

    Shapes:
        raw features `[batch, 1]` each, to a vector `[batch, components]`.

    Raises:
        ValueError: a column is named twice, or there are more components than columns.

    Reference:
        Jolliffe, Principal Component Analysis, 2002. The values are scikit-learn's PCA's, up to sign: here each
        component's largest weight is positive.

    Example:
        >>> Pca(columns=["width", "height", "depth"], components=2).source_columns()
        ('width', 'height', 'depth')
    """

    makes: ClassVar[Kind | None] = "vector"

    columns: tuple[str, ...] = Field(min_length=2)
    components: int = Field(default=2, ge=1)
    standardize: bool = True
    whiten: bool = False

    @model_validator(mode="after")
    def _no_more_than_columns(self) -> Pca:
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("each column once")
        if self.components > len(self.columns):
            raise ValueError(
                f"at most as many components as columns, got {self.components} of {len(self.columns)} columns"
            )
        return self

    def source_columns(self) -> tuple[str, ...]:
        """Return the condensed features."""
        return self.columns

    def source_kinds(self, column: str) -> frozenset[Kind]:
        """Return numbers, for every column."""
        del column
        return NUMBER

    def combine(self, name: str, columns: Sequence[Column]) -> Column:
        """Return the projected rows."""
        import tensorflow as tf

        from components.transform.column import Column
        from components.transform.principal_components import principal_components

        rows = tf.concat([column.values for column in columns], axis=1)
        present = tf.concat([column.present for column in columns], axis=1)
        whole = tf.gather_nd(rows, tf.where(tf.reduce_all(present, axis=1)))
        learned = principal_components(whole, self.components, standardize=self.standardize, whiten=self.whiten)
        centred = (tf.cast(rows, tf.float64) - learned.mean) / learned.scale
        centred = tf.where(present, centred, tf.zeros_like(centred))
        made = tf.cast(tf.matmul(centred, learned.projection), tf.float32)
        some = tf.reduce_any(present, axis=1, keepdims=True)
        return Column(name, "vector", made, some).learning(explained_variance=learned.explained)
