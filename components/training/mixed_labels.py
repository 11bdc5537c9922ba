"""Loss and metrics for labels between the classes, which steps such as MixUp make; the eval split has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def is_mixed(y_true: Any, y_pred: Any) -> bool:
    """Return whether labels of a multiclass task are a share of each class, rather than ids `[batch, 1]`."""
    return y_pred.shape[-1] > 1 and y_true.shape[-1] == y_pred.shape[-1]


def crossentropy() -> keras.losses.Loss:
    """Return the cross-entropy of a multiclass task for ids and for shares."""
    import keras

    class MixedCategoricalCrossentropy(keras.losses.SparseCategoricalCrossentropy):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            if is_mixed(y_true, y_pred):
                return keras.losses.categorical_crossentropy(y_true, y_pred)
            return super().call(y_true, y_pred)

    return MixedCategoricalCrossentropy(name="sparse_categorical_crossentropy")


def between_two(inner: keras.losses.Loss) -> keras.losses.Loss:
    """Return a binary loss whose value for a label between 0 and 1 lies by that share between those for 0 and for 1.

    So it is with cross-entropy anyway; the focal loss and class weights are not made for such labels.
    """
    import keras

    class MixedBinaryLoss(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            share = keras.ops.reshape(keras.ops.cast(y_true, y_pred.dtype), [-1])
            one, zero = (inner.call(like(y_true), y_pred) for like in (keras.ops.ones_like, keras.ops.zeros_like))
            return share * one + (1 - share) * zero

    return MixedBinaryLoss(name=inner.name)


def smoothed(inner: keras.losses.Loss, smoothing: float) -> keras.losses.Loss:
    """Return a loss to which every label is a share of all classes: `1 - smoothing` its own, the rest spread evenly.

    Args:
        inner: takes shares: see `is_mixed` for a multiclass task, and `between_two` for a binary one.
        smoothing: what is spread, over 0 and below 1.

    Reference:
        Szegedy, Vanhoucke, Ioffe, Shlens, Wojna (2016): Rethinking the inception architecture for computer vision.
    """
    import keras

    class SmoothedLoss(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            classes = y_pred.shape[-1]
            if classes > 1 and not is_mixed(y_true, y_pred):
                labels = keras.ops.cast(keras.ops.reshape(y_true, [-1]), "int32")
                y_true = keras.ops.one_hot(labels, classes, dtype=y_pred.dtype)
            share = keras.ops.cast(y_true, y_pred.dtype) * (1 - smoothing) + smoothing / max(classes, 2)
            return inner.call(share, y_pred)

    return SmoothedLoss(name=inner.name)


def binary_metrics() -> list[Any]:
    """Return the metrics of a binary task that take a label as the nearer class."""
    import keras

    def nearer(y_true: Any) -> Any:
        return keras.ops.cast(keras.ops.cast(y_true, "float32") >= 0.5, "float32")

    class MixedAUC(keras.metrics.AUC):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().update_state(nearer(y_true), y_pred, sample_weight)

    class MixedBinaryAccuracy(keras.metrics.BinaryAccuracy):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return super().update_state(nearer(y_true), y_pred, sample_weight)

    return [MixedAUC(name="auc"), MixedBinaryAccuracy(name="accuracy")]


def multiclass_metrics() -> list[Any]:
    """Return the metrics of a multiclass task that take a label as its largest class."""
    import keras

    class MixedCategoricalAccuracy(keras.metrics.SparseCategoricalAccuracy):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            if is_mixed(y_true, y_pred):
                y_true = keras.ops.argmax(y_true, axis=-1, keepdims=True)
            return super().update_state(y_true, y_pred, sample_weight)

    return [MixedCategoricalAccuracy(name="accuracy")]
