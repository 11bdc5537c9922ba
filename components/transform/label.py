"""Compute the label and the example weight in the transform graph."""

from __future__ import annotations

import functools

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import schema_inference

from components.errors import ComponentError
from components.expression import Expression
from components.features import Task
from components.transform.chain import Raw, require
from components.transform.column import Column, as_text, raw_column
from components.transform.outputs import LABEL_VOCABULARY, NO_LABEL

LABEL_PATH = "data.label"


def label_tensor(expression: Expression, task: Task, raw: Raw) -> tf.Tensor:
    """Return the label `[batch, 1]`.

    A row whose label cannot be computed gets NO_LABEL (NaN in regression), never class 0; `components.transform.checks`
    finds it and stops the run. An assertion in the graph would also stop requests, which have no label at all.

    Args:
        expression: how it is computed.
        task: `binary_classification` gives int64 0 or 1, `multiclass_classification` the int64 id of the class, and
            `regression` float32.
        raw: raw features as TFT hands them in.

    Raises:
        ComponentError: a column is missing, or the result does not fit the task.
    """
    columns = {name: _label_column(name, expression, raw) for name in expression.columns}
    present = functools.reduce(tf.logical_and, [column.present for column in columns.values()])
    values = tf.convert_to_tensor(expression.evaluate({name: column.values for name, column in columns.items()}, tf))
    if values.dtype.is_floating:
        present &= tf.math.is_finite(values)
    if task == "multiclass_classification":
        return _class_id(as_text(tf.cast(values, tf.int64) if values.dtype == tf.bool else values), present)
    if values.dtype == tf.string:
        binary = task == "binary_classification"
        compare = f"Compare it with the text that means yes: {expression.text} == 'yes'."
        raise ComponentError(
            f"The label {expression.text!r} is text, and {task} needs {'true or false' if binary else 'numbers'}.",
            spec_path=LABEL_PATH,
            remedy=compare if binary else "Name a column of numbers.",
        )
    if task == "regression":
        return tf.where(present, tf.cast(values, tf.float32), float("nan"))
    if values.dtype != tf.bool:
        present &= tf.equal(values, 0.0) | tf.equal(values, 1.0)
    return tf.where(present, tf.cast(values, tf.int64), NO_LABEL)


def weight_tensor(column: str, raw: Raw) -> tf.Tensor:
    """Return the example weights, float32 `[batch, 1]`; NaN where there is none or a negative one."""
    weight = raw_column(column, require(column, raw, "data.weight"), "number")
    return tf.where(weight.present & (weight.values >= 0), weight.values, float("nan"))


def _label_column(name: str, expression: Expression, raw: Raw) -> Column:
    tensor = require(name, raw, LABEL_PATH)
    alone = expression.columns == (expression.text.strip(),)
    is_text = name in expression.text_columns or (alone and tensor.dtype == tf.string)
    if tensor.dtype == tf.string and not is_text:
        raise ComponentError(
            f"The label {expression.text!r} calculates with {name!r}, but the data hold text in it.",
            spec_path=LABEL_PATH,
            remedy=f"Correct the rows that hold text, or compare it with text: {name} == 'some text'.",
        )
    return raw_column(name, tensor, "text" if is_text else "number")


def _class_id(text: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    file = tft.vocabulary(tf.gather_nd(text, tf.where(present)), vocab_filename=LABEL_VOCABULARY)
    ids = tft.apply_vocabulary(text, file, default_value=NO_LABEL)
    classes = tft.get_num_buckets_for_transformed_feature(ids)
    ids = tf.where(present, ids, tf.constant(NO_LABEL, tf.int64))
    schema_inference.set_tensor_schema_override(ids, tf.constant(0, tf.int64), tf.cast(classes, tf.int64) - 1)
    return ids
