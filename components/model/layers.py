"""Parts that model families share: named Keras inputs, embeddings, a stack of dense layers, the head of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.features import ModelInput, Task
from components.model.options import HiddenLayers, Normalization

MAX_EMBEDDING_DIM = 50

MOMENTUM = 0.9
"""Of the averages that batch normalization predicts with: Keras' 0.99 is far off after an epoch of 60 steps."""


def output_units(task: Task, num_classes: int) -> int:
    """Return the width of the model's output: one, or the number of classes."""
    return num_classes if task == "multiclass_classification" else 1


def default_embedding_dim(cardinality: int) -> int:
    """Return a size for the embedding of ids that grows slowly with how many there are.

    `1.6 * cardinality ** 0.56`, at least 2 and at most 50: the rule of fastai's tabular models.

    Example:
        >>> default_embedding_dim(7), default_embedding_dim(1010)
        (5, 50)
    """
    return max(2, min(MAX_EMBEDDING_DIM, round(1.6 * cardinality**0.56)))


def keras_inputs(inputs: Sequence[ModelInput]) -> dict[str, Any]:
    """Return one named Keras input per model input, each `[batch, *shape]`."""
    import keras

    return {each.name: keras.Input(shape=each.shape, name=each.name, dtype=each.dtype) for each in inputs}


def embedded(inputs: Sequence[ModelInput], tensors: Mapping[str, Any], embedding_dim: int | None = None) -> Any:
    """Return all inputs side by side, ids through an embedding each, a sequence of ids as the mean of its embeddings.

    Args:
        inputs: what the model receives.
        tensors: name to Keras tensor.
        embedding_dim: size of every embedding; None chooses one by the number of ids.

    Shapes:
        `[batch, sum of widths]`, where ids count `embedding_dim`, and a sequence too, however long.
    """
    import keras

    parts = []
    for each in inputs:
        tensor = tensors[each.name]
        if each.cardinality is not None:
            dim = embedding_dim or default_embedding_dim(each.cardinality)
            tensor = keras.layers.Embedding(each.cardinality, dim, name=f"{each.name}_embedding")(tensor)
            if is_sequence(each):
                tensor = mean_of_tokens(tensor, tensors[each.name])
        parts.append(_flat(tensor, f"{each.name}_flat"))
    return joined(parts, "features")


def linear_parts(
    inputs: Sequence[ModelInput], tensors: Mapping[str, Any], units: int, regularizer: Any, prefix: str
) -> list[Any]:
    """Return the summands of a linear model: a weight per dense value and per id, without a bias.

    Args:
        inputs: what the model receives; may be none.
        tensors: name to Keras tensor.
        units: width of the model's output.
        regularizer: of all weights, or None.
        prefix: begins the names of the layers.

    Shapes:
        each `[batch, units]`.
    """
    import keras

    parts = []
    dense = [_flat(tensors[each.name], f"{prefix}_{each.name}_flat") for each in inputs if not each.is_ids]
    if dense:
        weighted = keras.layers.Dense(
            units, use_bias=False, kernel_regularizer=regularizer, name=f"{prefix}_linear"
        )  # fmt: skip
        parts.append(weighted(joined(dense, f"{prefix}_dense")))
    for each in inputs:
        if each.cardinality is not None:
            weights = id_weights(tensors[each.name], each.cardinality, units, regularizer, f"{each.name}_{prefix}")
            text = is_sequence(each)
            parts.append(mean_of_tokens(weights, tensors[each.name]) if text else keras.ops.sum(weights, axis=1))
    return parts


def id_weights(ids: Any, cardinality: int, units: int, regularizer: Any, name: str) -> Any:
    """Return a linear model's weights of ids: an embedding with one unit per output, `[batch, width, units]`."""
    import keras

    return keras.layers.Embedding(
        cardinality, units, embeddings_initializer="zeros", embeddings_regularizer=regularizer, name=name
    )(ids)


def is_sequence(each: ModelInput) -> bool:
    """Return whether the input is a sequence of ids, where 0 is padding."""
    return each.is_ids and each.width > 1


def mean_of_tokens(embeddings: Any, ids: Any) -> Any:
    """Return the mean of the embeddings of a sequence, without those of padding; zeros when all is padding.

    Args:
        embeddings: `[batch, length, dim]`.
        ids: `[batch, length]`; 0 is padding.

    Shapes:
        `[batch, dim]`.

    Reference:
        Joulin et al., Bag of Tricks for Efficient Text Classification, 2016, https://arxiv.org/abs/1607.01759.
    """
    from keras import ops

    # Keras' GlobalAveragePooling1D divides by 0 for a row that is all padding
    is_token = ops.expand_dims(ops.cast(ops.not_equal(ids, 0), embeddings.dtype), -1)
    return ops.sum(embeddings * is_token, axis=1) / ops.maximum(ops.sum(is_token, axis=1), 1)


def joined(parts: Sequence[Any], name: str) -> Any:
    """Return tensors `[batch, width]` side by side."""
    import keras

    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name=name)(list(parts))


def normalized(tensor: Any, normalization: Normalization, name: str, mask: Any = None) -> Any:
    """Return the tensor on one scale; batch normalization takes no notice of steps where the mask is False."""
    import keras

    if normalization == "layer":
        return keras.layers.LayerNormalization(name=name)(tensor)
    if normalization == "batch":
        return keras.layers.BatchNormalization(momentum=MOMENTUM, name=name)(tensor, mask=mask)
    return tensor


def dense_stack(tensor: Any, options: HiddenLayers, normalization: Normalization = "none") -> Any:
    """Return the tensor after the hidden layers, each with its normalization, activation and dropout."""
    import keras

    for index, size in enumerate(options.hidden_units, start=1):
        # a bias before batch normalization would be subtracted again
        tensor = keras.layers.Dense(
            size,
            use_bias=normalization != "batch",
            kernel_regularizer=options.regularizer(),
            name=f"hidden_{index}",
        )(tensor)
        tensor = normalized(tensor, normalization, f"normalization_{index}")
        tensor = keras.layers.Activation(options.activation, name=f"activation_{index}")(tensor)
        if options.dropout:
            tensor = keras.layers.Dropout(options.dropout, name=f"dropout_{index}")(tensor)
    return tensor


def logits(tensor: Any, units: int, options: HiddenLayers, name: str = "logits") -> Any:
    """Return the last dense layer: one number per output, before the head."""
    import keras

    return keras.layers.Dense(units, kernel_regularizer=options.regularizer(), name=name)(tensor)


def head(logits: Any, task: Task) -> Any:
    """Return what the task predicts, from one logit, one logit per class, or one number."""
    import keras

    activation = {"binary_classification": "sigmoid", "multiclass_classification": "softmax", "regression": "linear"}
    # float32 also under a mixed precision policy: float16 probabilities are too coarse for a loss.
    return keras.layers.Activation(activation[task], dtype="float32", name="output")(logits)


def _flat(tensor: Any, name: str) -> Any:
    import keras

    return keras.layers.Flatten(name=name)(tensor) if len(tensor.shape) > 2 else tensor
