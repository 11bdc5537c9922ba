"""A column inside the transform graph: values, where they exist, and what was learned on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import tensorflow as tf

from components.errors import ComponentError
from components.transform.step import Kind


@dataclass(frozen=True)
class Column:
    """One column between two steps.

    Args:
        name: name of the chain, so that files of the graph have speaking names.
        kind: what `values` mean.
        values: `[batch, width]`; finite and without meaning where `present` is false. Tokens are a `tf.SparseTensor`,
            with none where `present` is false.
        present: boolean `[batch, 1]`: the row has a value.
        complete: true when every row is known to have a value, whatever the data.
        cardinality: for ids, how many different ones there are: an int, or an int64 scalar known after analysis.
        bound: for ids, a number they never exceed that is known before analysis; gives `one_hot` its width.
        learned: what analysis found out, by a speaking name; each a tensor that does not depend on the batch.
        out_of_fold: what training reads in place of `values`, where those were learned from the row's own label.
    """

    name: str
    kind: Kind
    values: tf.Tensor
    present: tf.Tensor
    complete: bool = False
    cardinality: Any = None
    bound: int | None = None
    learned: Mapping[str, tf.Tensor] = field(default_factory=dict)
    out_of_fold: tf.Tensor | None = None

    @property
    def present_values(self) -> tf.Tensor:
        """The values that exist, `[n]`: what analyzers look at."""
        # three operations; boolean_mask would be thirty, and every analyzer asks
        return tf.gather_nd(self.values, tf.where(self.present))

    def with_values(self, values: tf.Tensor, **changes: Any) -> Column:
        """Return the column with other values, and any other changed field."""
        return replace(self, values=values, **changes)

    def learning(self, **learned: tf.Tensor) -> Column:
        """Return the column with more learned tensors, for the report; a later one of the same name replaces."""
        return replace(self, learned={**self.learned, **learned})


@dataclass(frozen=True)
class OtherColumns:
    """What a step may read besides the column of its chain.

    Args:
        read: the raw columns that its `read_columns` names, in that order.
        row: returns a hash of all declared features of the row, int64 `[batch]` from 0.
        label: returns the label as a number; missing where it cannot be computed. Serving has none.
    """

    read: tuple[Column, ...]
    row: Callable[[], tf.Tensor]
    label: Callable[[], Column]


LARGEST_HASH = 2**63 - 1


def row_hash(columns: Iterable[Column]) -> tf.Tensor:
    """Return a hash of raw columns, int64 `[batch]`: the same on every machine and in every batch."""
    parts = [
        tf.where(column.present, as_text(column.values), "")[:, 0] for column in columns if column.kind != "encoded"
    ]
    return tf.strings.to_hash_bucket_fast(tf.strings.join(parts, "\x1f"), LARGEST_HASH)


def finite_or(tensor: tf.Tensor, fallback: float) -> tf.Tensor:
    """Return `tensor`, or `fallback` where analysis met no value at all and has no answer."""
    return tf.where(tf.math.is_finite(tensor), tensor, tf.constant(fallback, tensor.dtype))


def as_text(values: tf.Tensor) -> tf.Tensor:
    """Return categories as text: `7` for the integer 7 and for the float 7.0, text as it is."""
    if values.dtype == tf.string:
        return values
    if values.dtype.is_integer or values.dtype.is_bool:
        return tf.strings.as_string(values)
    whole = tf.cast(values, tf.int64)
    is_whole = tf.equal(tf.cast(whole, values.dtype), values)
    return tf.where(is_whole, tf.strings.as_string(whole), tf.strings.as_string(values, shortest=True))


def raw_column(name: str, tensor: tf.Tensor | tf.SparseTensor, kind: Kind) -> Column:
    """Return a raw feature as a column.

    Missing are: rows without a value, NaN and infinite numbers, and empty text (what a CSV file and the `raw`
    signature mean by it).

    Args:
        name: the feature.
        tensor: what TFT hands in: sparse with at most one value per row, or dense `[batch]` or `[batch, 1]`.
        kind: `number`, `text` or `encoded`; numbers become float32, categories text, bytes of files stay.

    Raises:
        ComponentError: the data's type does not fit the kind, or the feature is not one value per row.
    """
    values, present = _dense(name, tensor)
    if kind == "number":
        if values.dtype == tf.string:
            raise ComponentError(
                f"Column {name!r} is declared numeric, but the data hold text.",
                spec_path=f"data.features.{name}",
                remedy=f"Declare it {name}: categorical, or correct the rows that hold text.",
            )
        values = tf.cast(values, tf.float32)
    if kind == "encoded" and values.dtype != tf.string:
        raise ComponentError(
            f"Column {name!r} is declared image, but the data hold numbers.",
            spec_path=f"data.features.{name}",
            remedy="Give the paths of image files, or declare the column numeric or categorical.",
        )
    if values.dtype.is_floating:
        present = present & tf.math.is_finite(values)
        values = tf.where(present, values, tf.zeros_like(values))
    if kind in ("text", "encoded"):
        values = as_text(values)
        present = present & tf.not_equal(values, "")
        values = tf.where(present, values, "")
    return Column(name, kind, values, present)


def _dense(name: str, tensor: tf.Tensor | tf.SparseTensor) -> tuple[tf.Tensor, tf.Tensor]:
    if isinstance(tensor, tf.Tensor):
        if tensor.shape.rank == 1 or (tensor.shape.rank == 2 and tensor.shape[1] == 1):
            values = tf.reshape(tensor, [-1, 1])
            return values, tf.ones_like(values, tf.bool)
        raise _not_one_value(name, f"of shape {tensor.shape}")
    if not isinstance(tensor, tf.SparseTensor):
        raise _not_one_value(name, f"a {type(tensor).__name__}")
    # a second value in a row lies outside this shape, which TensorFlow refuses
    shape = tf.stack([tensor.dense_shape[0], 1])
    values = tf.sparse.to_dense(tf.SparseTensor(tensor.indices, tensor.values, shape))
    present = tf.sparse.to_dense(tf.SparseTensor(tensor.indices, tf.ones_like(tensor.values, tf.bool), shape))
    return tf.reshape(values, [-1, 1]), tf.reshape(present, [-1, 1])


_ONE_VALUE = "Give it one value per row, or leave it out of data.features."


def _not_one_value(name: str, received: str) -> ComponentError:
    return ComponentError(
        f"Column {name!r} is {received} in the schema; a feature has one value per row.",
        spec_path=f"data.features.{name}",
        remedy=_ONE_VALUE,
    )
