"""Run the chains of the spec on raw features, inside the transform graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf
from tensorflow_transform import schema_inference

from components.errors import ComponentError, SluiceError
from components.features import FeatureKind, out_of_fold_name
from components.transform.column import Column, OtherColumns, raw_column, row_hash
from components.transform.config import KINDS
from components.transform.learned import keep_learned
from components.transform.step import TransformStep, source_of

Raw = Mapping[str, "tf.Tensor | tf.SparseTensor"]


def run_chain(
    name: str,
    steps: Sequence[TransformStep],
    raw: Raw,
    features: Mapping[str, FeatureKind],
    label: tf.Tensor | None = None,
) -> dict[str, tf.Tensor]:
    """Return what the model receives of one chain, and what it receives in training if that is something else.

    Missing values that no step filled in end as 0 in a chain of numbers, as an id of their own (the last one) in a
    chain of ids, and as zeros in a vector and in an image.

    Args:
        name: name of the chain.
        steps: its steps in order; the spec's rules have been checked.
        raw: raw features as TFT hands them in.
        features: what the raw features mean.
        label: the transformed label, where there is one; for steps that learn from it.

    Returns:
        Under the chain's name float32 `[batch, width]`, or int64 `[batch, 1]` whose range is declared in the
        transformed schema. Under `out_of_fold_name(name)` what training takes in its place, if the chain has it.

    Raises:
        ComponentError: a step failed; `spec_path` names it.
    """
    first = source_of(steps)
    rest = steps[1:] if first else steps
    if first:
        with _Location(f"transform.{name}.0", first):
            sources = [_feature(column, raw, features) for column in first.source_columns()]
            column = first.combine(name, sources)
    else:
        column = _feature(name, raw, features)
    for index, step in enumerate(rest, start=len(steps) - len(rest)):
        with _Location(f"transform.{name}.{index}", step):
            others = _others(step, raw, features, label)
            column = step.apply(column) if others is None else step.apply_with(column, others)
    with _Location(f"transform.{name}", steps[-1] if steps else None):
        outputs = {name: _finish(column)}
        if column.out_of_fold is not None:
            outputs[out_of_fold_name(name)] = column.out_of_fold
        return outputs


def _others(
    step: TransformStep, raw: Raw, features: Mapping[str, FeatureKind], label: tf.Tensor | None
) -> OtherColumns | None:
    """Return what the step reads besides its own column, or None when it reads nothing else."""
    names = step.read_columns()
    if not names and not step.reads_label:
        return None
    read = tuple(_feature(name, raw, features) for name in names)
    declared = [each for each in sorted(features) if each in raw]
    return OtherColumns(
        read,
        lambda: row_hash(_feature(each, raw, features) for each in declared),
        lambda: label_column(label),
    )


def label_column(label: tf.Tensor | None) -> Column:
    """Return a transformed label, binary or a number, as a column."""
    if label is None:
        raise ValueError("a label to learn from")
    present = tf.math.is_finite(label) if label.dtype.is_floating else label >= 0
    values = tf.where(present, tf.cast(label, tf.float32), 0.0)
    return Column("label", "number", values, present)


class _Location:
    """Says which step failed."""

    def __init__(self, spec_path: str, step: TransformStep | None) -> None:
        self._path = spec_path
        self._step = step.plugin_name() if step else "the chain"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, SluiceError):
            message = f"{self._step} cannot be built: {type(error).__name__}: {error}"
            remedy = "Check the step's parameters and the type of its column."
            raise ComponentError(message, spec_path=self._path, remedy=remedy) from error


def _feature(name: str, raw: Raw, features: Mapping[str, FeatureKind]) -> Column:
    return raw_column(name, require(name, raw, f"data.features.{name}"), KINDS[FeatureKind(features[name])])


def require(name: str, raw: Raw, spec_path: str) -> tf.Tensor | tf.SparseTensor:
    """Return a raw feature.

    Raises:
        ComponentError: the data have no such column, or no value in it.
    """
    if name in raw:
        return raw[name]
    raise ComponentError(
        f"The data's schema has no column {name!r}, or no value was ever seen in it.",
        spec_path=spec_path,
        remedy=f"Remove it from the spec, or give data with values in it. Columns: {', '.join(sorted(raw))}.",
    )


def _finish(column: Column) -> tf.Tensor:
    values = column.values
    if column.kind == "number":
        values = tf.where(column.present, values, tf.zeros_like(values))
    if column.kind == "image":
        values = tf.where(column.present[:, :, tf.newaxis, tf.newaxis], values, tf.zeros_like(values))
    if column.kind not in ("ids", "sequence"):
        return keep_learned(column.name, column.learned, values)
    cardinality = tf.cast(column.cardinality, tf.int64)
    # a sequence has padding in place of what is missing
    if column.kind == "ids" and not column.complete:
        values = tf.where(column.present, values, cardinality)
        cardinality += 1
    # keep_learned makes a tensor of its own, so that a range declared by TFT on the way does not stick to it
    width = values.shape[1] if column.kind == "sequence" else 1
    values = keep_learned(column.name, column.learned, tf.ensure_shape(values, [None, width]))
    schema_inference.set_tensor_schema_override(values, tf.constant(0, tf.int64), cardinality - 1)
    return values
