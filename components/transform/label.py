"""Compute the label and the example weight in the transform graph."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import schema_inference

from components.errors import ComponentError
from components.expression import Expression
from components.features import Task
from components.transform.chain import Raw, require
from components.transform.column import Column, as_text, failure, raw_column
from components.transform.outputs import LABEL_VOCABULARY

LABEL_PATH = "data.label"


def label_tensor(expression: Expression, task: Task, raw: Raw) -> tf.Tensor:
    """Return the label `[batch, 1]`.

    A row without a label stops the run, instead of counting as class 0.

    Args:
        expression: how it is computed.
        task: `binary_classification` gives int64 0 or 1, `multiclass_classification` the int64 id of the class, and
            `regression` float32.
        raw: raw features as TFT hands them in.

    Raises:
        ComponentError: a column is missing, or the result does not fit the task.
    """
    values = _evaluate(expression, {name: _label_column(name, expression, raw) for name in expression.columns})
    if task == "multiclass_classification":
        return _class_id(as_text(tf.cast(values, tf.int64) if values.dtype == tf.bool else values))
    if values.dtype == tf.string:
        raise ComponentError(
            f"The label {expression.text!r} is text, and {task} needs {'true or false' if 'binary' in task else 'numbers'}.",
            spec_path=LABEL_PATH,
            remedy=f"Compare it with the text that means yes: {expression.text} == 'yes'."
            if "binary" in task
            else "Name a column of numbers.",
        )
    if task == "regression":
        return tf.cast(values, tf.float32)
    if values.dtype != tf.bool:
        is_binary = tf.equal(values, 0.0) | tf.equal(values, 1.0)
        values = _checked(
            values, is_binary, f"The label {expression.text!r} has values other than 0 and 1.",
            f"Write what counts as 1, for example {expression.text} > 0.",
        )
    return tf.cast(values, tf.int64)


def weight_tensor(column: str, raw: Raw) -> tf.Tensor:
    """Return the example weights, float32 `[batch, 1]`; a row without one, or with a negative one, stops the run."""
    weight = raw_column(column, require(column, raw, "data.weight"), "number")
    is_weight = weight.present & (weight.values >= 0)
    return _checked(
        weight.values, is_weight, f"The weight {column!r} is missing or negative in some rows.",
        f"Drop them: cleaning: - drop_missing: [{column}].", "data.weight",
    )


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


def _evaluate(expression: Expression, columns: Mapping[str, Column]) -> tf.Tensor:
    checked = {
        name: _checked(
            column.values, column.present, f"The label's column {name!r} has no value in some rows.",
            f"Drop them: cleaning: - drop_missing: [{name}].",
        )
        for name, column in columns.items()
    }
    values = tf.convert_to_tensor(expression.evaluate(checked))
    if values.dtype.is_floating:
        values = _checked(
            values, tf.math.is_finite(values), f"The label {expression.text!r} is not a finite number in some rows.",
            "Drop the rows that divide by zero or overflow, with a cleaning step.",
        )
    return values


def _class_id(text: tf.Tensor) -> tf.Tensor:
    file = tft.vocabulary(tf.reshape(text, [-1]), vocab_filename=LABEL_VOCABULARY)
    ids = tft.apply_vocabulary(text, file, default_value=-1)
    classes = tft.get_num_buckets_for_transformed_feature(ids)
    known = _checked(
        ids, ids >= 0, "The label has a class that no training row has.",
        "Drop the rows of that class with a cleaning step, or change data.split so that training sees it.",
    )
    schema_inference.set_tensor_schema_override(known, tf.constant(0, tf.int64), tf.cast(classes, tf.int64) - 1)
    return known


def _checked(
    values: tf.Tensor, holds: tf.Tensor, message: str, remedy: str, spec_path: str = LABEL_PATH
) -> tf.Tensor:
    """Return `values`, which cannot be computed while `holds` is false anywhere."""
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(holds), [failure(spec_path, message, remedy)])]):
        return tf.identity(values)
