"""What each task minimizes, and what is watched while it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from components.features import Task
from components.training import mixed_labels
from components.training.config import FocalConfig, TrainingConfig

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


_FALLING = ("loss", "rmse", "mae")


def direction(name: str) -> Literal["min", "max"]:
    """Return whether a quantity of the history should fall or rise.

    Example:
        >>> direction("val_loss"), direction("val_auc")
        ('min', 'max')
    """
    return "min" if name.removeprefix("val_") in _FALLING else "max"


def loss(task: Task, config: TrainingConfig | None = None, *, mixed: bool = False) -> keras.losses.Loss:
    """Return the loss of a task.

    Args:
        task: decides which one.
        config: focal loss, label smoothing and class weights, those by class id; None takes none of them.
        mixed: labels of training can lie between the classes.
    """
    import keras

    focal = None if config is None else config.focal
    smoothing = 0.0 if config is None else config.label_smoothing
    mixed = mixed or smoothing > 0
    found: keras.losses.Loss
    match task:
        case "binary_classification":
            found = keras.losses.BinaryCrossentropy() if focal is None else _binary_focal(focal)
        case "multiclass_classification":
            plain = mixed_labels.crossentropy if mixed else keras.losses.SparseCategoricalCrossentropy
            found = plain() if focal is None else _focal(focal)
        case _:
            return keras.losses.MeanSquaredError()
    weights = None if config is None else config.class_weights
    if weights is not None:
        if not isinstance(weights, dict):
            raise TypeError("class weights must be resolved to ids first; see components.training.class_weights")
        found = _weighted(found, [weights[str(at)] for at in range(len(weights))])
    found = mixed_labels.between_two(found) if mixed and task == "binary_classification" else found
    return mixed_labels.smoothed(found, smoothing) if smoothing else found


def _binary_focal(focal: FocalConfig) -> keras.losses.Loss:
    import keras

    balance = focal.alpha is not None
    return keras.losses.BinaryFocalCrossentropy(
        apply_class_balancing=balance, alpha=focal.alpha if balance else 0.25, gamma=focal.gamma
    )


def _focal(focal: FocalConfig) -> keras.losses.Loss:
    """Return Keras's categorical focal loss for labels that are ids; Keras has it for one-hot labels only."""
    import keras

    class SparseCategoricalFocalCrossentropy(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            if mixed_labels.is_mixed(y_true, y_pred):
                hot = y_true
            else:
                labels = keras.ops.cast(keras.ops.reshape(y_true, [-1]), "int32")
                hot = keras.ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype)
            return keras.losses.categorical_focal_crossentropy(hot, y_pred, alpha=1.0, gamma=focal.gamma)

    return SparseCategoricalFocalCrossentropy()


def _weighted(inner: keras.losses.Loss, weights: Sequence[float]) -> keras.losses.Loss:
    """Return a loss in which each row counts what its class weighs, in Keras's `fit` and in our loop alike."""
    import keras

    class ClassWeightedLoss(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            if mixed_labels.is_mixed(y_true, y_pred):
                # the losses are linear in the label: a class's weight goes with its share
                parts = y_true * keras.ops.convert_to_tensor(weights, y_true.dtype)
                total = keras.ops.sum(parts, axis=-1, keepdims=True)
                return inner.call(parts / total, y_pred) * total[..., 0]
            labels = keras.ops.cast(keras.ops.reshape(y_true, [-1]), "int32")
            each = inner.call(y_true, y_pred)
            return each * keras.ops.take(keras.ops.convert_to_tensor(weights, each.dtype), labels)

    return ClassWeightedLoss(name="weighted_" + inner.name)


def metrics(task: Task, *, mixed: bool = False) -> list[Any]:
    """Return new metrics of a task, named as in `METRICS`; `mixed` as in `loss`."""
    import keras

    if mixed and task != "regression":
        return mixed_labels.binary_metrics() if task == "binary_classification" else mixed_labels.multiclass_metrics()
    match task:
        case "binary_classification":
            return [keras.metrics.AUC(name="auc"), keras.metrics.BinaryAccuracy(name="accuracy")]
        case "multiclass_classification":
            return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        case _:
            return [keras.metrics.RootMeanSquaredError(name="rmse"), keras.metrics.MeanAbsoluteError(name="mae")]
