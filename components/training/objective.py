"""What each task minimizes, and what is watched while it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from components.features import Task

if TYPE_CHECKING:
    import keras

METRICS: dict[str, tuple[str, ...]] = {
    "binary_classification": ("auc", "accuracy"),
    "multiclass_classification": ("accuracy",),
    "regression": ("rmse", "mae"),
}
"""Task to the names of its metrics in the Keras history; `loss` is there too, and each again as `val_…`."""


def monitored_names(task: Task) -> tuple[str, ...]:
    """Return what early stopping can watch.

    Example:
        >>> monitored_names("multiclass_classification")
        ('loss', 'val_loss', 'accuracy', 'val_accuracy')
    """
    return tuple(prefix + name for name in ("loss", *METRICS[task]) for prefix in ("", "val_"))


def loss(task: Task) -> keras.losses.Loss:
    """Return the loss of a task."""
    import keras

    match task:
        case "binary_classification":
            return keras.losses.BinaryCrossentropy()
        case "multiclass_classification":
            return keras.losses.SparseCategoricalCrossentropy()
        case _:
            return keras.losses.MeanSquaredError()


def metrics(task: Task) -> list[Any]:
    """Return new metrics of a task, named as in `METRICS`."""
    import keras

    match task:
        case "binary_classification":
            return [keras.metrics.AUC(name="auc"), keras.metrics.BinaryAccuracy(name="accuracy")]
        case "multiclass_classification":
            return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        case _:
            return [keras.metrics.RootMeanSquaredError(name="rmse"), keras.metrics.MeanAbsoluteError(name="mae")]
