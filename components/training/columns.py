"""A split in memory: transformed features of one dtype packed side by side, so that a batch is two gathers."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from components.engine.examples import read_records
from components.errors import ComponentError
from components.features import LABEL, WEIGHT, ModelInput, Task


@dataclass(frozen=True)
class Columns:
    """Transformed examples as arrays.

    Args:
        inputs: the model's inputs; dense ones and ids are packed in their order here.
        dense: float32 `[rows, sum of dense widths]`.
        ids: int64 `[rows, sum of id widths]`.
        label: `[rows, 1]`, int64 for classes, float32 for regression.
        weight: float32 `[rows]`, or None when all rows weigh the same.
    """

    inputs: tuple[ModelInput, ...]
    dense: np.ndarray
    ids: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Number of examples."""
        return len(self.label)

    def taken(self, rows: np.ndarray) -> Columns:
        """Return some of the rows, by their numbers, each as often as it is there, or by a mask `[rows]`."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, dense=self.dense[rows], ids=self.ids[rows], label=self.label[rows], weight=weight)

    def row_hashes(self) -> np.ndarray:
        """Return a number below 2**32 for each row, uint64 `[rows]`, the same for rows with equal features."""
        parts = (self.dense, self.ids)
        hashes = (zlib.crc32(b"".join(part[row].tobytes() for part in parts)) for row in range(self.rows))
        return np.fromiter(hashes, np.uint64, self.rows)

    def features(self, dense: Any, ids: Any) -> dict[str, Any]:
        """Return named columns of packed ones; takes arrays and tensors alike."""
        found, next_dense, next_id = {}, 0, 0
        for each in self.inputs:
            if each.is_ids:
                packed = ids[:, next_id : next_id + each.width]
                next_id += each.width
            else:
                packed = dense[:, next_dense : next_dense + each.width]
                next_dense += each.width
            found[each.name] = packed if len(each.shape) == 1 else _reshaped(packed, (-1, *each.shape))
        return found


def _reshaped(values: Any, shape: tuple[int, ...]) -> Any:
    """Return an array or a tensor in another shape."""
    if isinstance(values, np.ndarray):
        return values.reshape(shape)
    import tensorflow as tf

    return tf.reshape(values, shape)


def example_spec(inputs: Sequence[ModelInput], task: Task, weighted: bool) -> dict[str, Any]:
    """Return how transformed examples are parsed: everything has a fixed length."""
    import tensorflow as tf

    spec = {each.column: tf.io.FixedLenFeature(each.shape, getattr(tf, each.dtype)) for each in inputs}
    spec[LABEL] = tf.io.FixedLenFeature([1], tf.float32 if task == "regression" else tf.int64)
    if weighted:
        spec[WEIGHT] = tf.io.FixedLenFeature([1], tf.float32)
    return spec


def load_columns(
    folder: str, inputs: Sequence[ModelInput], task: Task, *, weighted: bool, byte_limit: float = float("inf")
) -> Columns | None:
    """Read a split of transformed examples into memory.

    Args:
        folder: the split's folder of gzipped TFRecords.
        inputs: the model's inputs.
        task: decides the label's dtype.
        weighted: there is a weight column.
        byte_limit: give up beyond that.

    Returns:
        The columns, or None when they exceed the limit.
    """
    import tensorflow as tf

    spec = example_spec(inputs, task, weighted)
    chunks: list[list[np.ndarray]] = []
    size = 0
    for records in read_records(folder):
        parsed = tf.io.parse_example(tf.constant(records.to_numpy(zero_copy_only=False)), spec)
        chunks.append(_packed({name: tensor.numpy() for name, tensor in parsed.items()}, inputs))
        size += sum(array.nbytes for array in chunks[-1])
        if size > byte_limit:
            return None
    if not chunks:
        chunks = [_packed({name: np.zeros((0, *f.shape), f.dtype.as_numpy_dtype) for name, f in spec.items()}, inputs)]
    dense, ids, label, *weight = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    return Columns(tuple(inputs), dense, ids, label, weight[0] if weight else None)


def _packed(parsed: dict[str, np.ndarray], inputs: Sequence[ModelInput]) -> list[np.ndarray]:
    rows = len(parsed[LABEL])
    dense = [parsed[each.column].reshape(rows, each.width) for each in inputs if not each.is_ids]
    ids = [parsed[each.column].reshape(rows, each.width) for each in inputs if each.is_ids]
    packed = [
        np.concatenate(dense, axis=1) if dense else np.zeros((rows, 0), np.float32),
        np.concatenate(ids, axis=1) if ids else np.zeros((rows, 0), np.int64),
        parsed[LABEL],
    ]
    return [*packed, parsed[WEIGHT][:, 0]] if WEIGHT in parsed else packed


def check_values(columns: Columns, num_classes: int) -> None:
    """Refuse values that would make the loss NaN or an embedding read out of its table, and say which column it is.

    Raises:
        ComponentError: a dense feature, a weight or the label is not finite, or ids are out of range.
    """
    for name, values in columns.features(columns.dense, columns.ids).items():
        cardinality = next(each.cardinality for each in columns.inputs if each.name == name)
        if cardinality is None:
            bad, expected = ~np.isfinite(values), "finite numbers"
            remedy = f"Put fill_missing first in transform.{name}, and check its scaling."
        else:
            bad, expected = (values < 0) | (values >= cardinality), f"ids from 0 to {cardinality - 1}"
            remedy = f"Check the last step of transform.{name}."
        _refuse(bad, f"model input {name!r}", expected, f"transform.{name}", remedy)
    if columns.weight is not None:
        bad = ~np.isfinite(columns.weight) | (columns.weight < 0)
        _refuse(bad, "the weight", "numbers from 0", "data.weight", "Drop such rows in cleaning.")
    if columns.label.dtype.kind == "f":
        bad, expected = ~np.isfinite(columns.label), "finite numbers"
    else:
        bad, expected = (columns.label < 0) | (columns.label >= num_classes), f"classes from 0 to {num_classes - 1}"
    _refuse(bad, "the label", expected, "data.label", "Drop such rows in cleaning: drop_missing.")


def _refuse(bad: np.ndarray, what: str, expected: str, spec_path: str, remedy: str) -> None:
    count = int(np.count_nonzero(bad.reshape(len(bad), -1).any(axis=1))) if bad.size else 0
    if count:
        raise ComponentError(
            f"{count} of {len(bad)} rows have no usable value of {what}; expected {expected}.",
            spec_path=spec_path,
            remedy=remedy,
        )
