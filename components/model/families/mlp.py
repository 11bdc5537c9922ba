"""Family `mlp`: dense layers over all features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from components.features import ModelInput, Task
from components.model.family import ModelFamily
from components.model.layers import dense_stack, embedded, head, keras_inputs, logits, output_units
from components.model.options import HiddenLayers, Normalized

if TYPE_CHECKING:
    import keras


class Mlp(HiddenLayers, Normalized, ModelFamily):
    """A multilayer perceptron: embeddings of ids and dense features, side by side, through dense layers.

    Use it first: it is quick and hard to get wrong. Of a text's ids it takes the mean embedding, without their order.
    Take `wide_and_deep` when single categories or crosses of them matter by themselves.

    Args:
        hidden_units: width of each hidden layer; an empty list gives a linear model of embeddings.
        activation: of the hidden layers.
        dropout: share of each hidden layer's outputs that is dropped while training; 0 to below 1.
        normalization: of each hidden layer, before its activation: `batch`, `layer` or `none`.
        l1: times the sum of the absolute weights of dense layers, added to the loss; 0 or more.
        l2: times the sum of their squares; 0 or more.
        embedding_dim: size of every embedding; None chooses one by the number of ids.

    Shapes:
        In `[batch, …]` per feature; out `[batch, 1]`, or `[batch, classes]` for multiclass tasks.

    Example:
        >>> Mlp(hidden_units=(8,)).hidden_units
        (8,)
    """

    embedding_dim: int | None = Field(default=None, ge=1)

    def build(self, inputs: Sequence[ModelInput], task: Task, num_classes: int) -> keras.Model:
        """Return an uncompiled model; see `ModelFamily.build`."""
        import keras

        tensors = keras_inputs(inputs)
        hidden = dense_stack(embedded(inputs, tensors, self.embedding_dim), self, self.normalization)
        output = head(logits(hidden, output_units(task, num_classes), self), task)
        return keras.Model(tensors, output, name="mlp")
