"""Parts that model families share: named Keras inputs, embeddings, a stack of dense layers, the head of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from components.features import ModelInput, Task

Activation = Literal["relu", "gelu", "silu", "tanh", "elu", "selu", "leaky_relu"]

MAX_EMBEDDING_DIM = 50


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
        if len(tensor.shape) > 2:
            tensor = keras.layers.Flatten(name=f"{each.name}_flat")(tensor)
        parts.append(tensor)
    return parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="features")(parts)


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


def dense_stack(tensor: Any, units: Sequence[int], activation: str, dropout: float, normalize: bool) -> Any:
    """Return the tensor after dense layers, each with optional batch normalization and dropout."""
    import keras

    for index, size in enumerate(units, start=1):
        # A bias before batch normalization would be subtracted again.
        tensor = keras.layers.Dense(size, use_bias=not normalize, name=f"hidden_{index}")(tensor)
        if normalize:
            tensor = keras.layers.BatchNormalization(name=f"normalization_{index}")(tensor)
        tensor = keras.layers.Activation(activation, name=f"activation_{index}")(tensor)
        if dropout:
            tensor = keras.layers.Dropout(dropout, name=f"dropout_{index}")(tensor)
    return tensor


def head(logits: Any, task: Task) -> Any:
    """Return what the task predicts, from one logit, one logit per class, or one number."""
    import keras

    activation = {"binary_classification": "sigmoid", "multiclass_classification": "softmax", "regression": "linear"}
    # float32 also under a mixed precision policy: float16 probabilities are too coarse for a loss.
    return keras.layers.Activation(activation[task], dtype="float32", name="output")(logits)
