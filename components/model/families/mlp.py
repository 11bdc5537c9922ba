"""Family `mlp`: dense layers over all features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from components.features import ModelInput, Task
from components.model.family import ModelFamily
from components.model.layers import Activation, dense_stack, embedded, head, keras_inputs, output_units

if TYPE_CHECKING:
    import keras


class Mlp(ModelFamily):
    """A multilayer perceptron: embeddings of ids and dense features, side by side, through dense layers.

    Use it first: it is quick and hard to get wrong. Of a text's ids it takes the mean embedding, without their order.
    Take `wide_and_deep` when single categories or crosses of them matter by themselves.

    Args:
        hidden_units: width of each hidden layer; an empty list gives a linear model.
        activation: of the hidden layers.
        dropout: share of each hidden layer's outputs that is dropped while training.
        batch_normalization: normalize each hidden layer before its activation.
        embedding_dim: size of every embedding; None chooses one by the number of ids.

    Shapes:
        In `[batch, …]` per feature; out `[batch, 1]`, or `[batch, classes]` for multiclass tasks.

    Example:
        >>> Mlp(hidden_units=(8,)).hidden_units
        (8,)
    """

    hidden_units: tuple[Annotated[int, Field(ge=1)], ...] = (64, 32)
    activation: Activation = "relu"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    batch_normalization: bool = False
    embedding_dim: int | None = Field(default=None, ge=1)

    def build(self, inputs: Sequence[ModelInput], task: Task, num_classes: int) -> keras.Model:
        """Return an uncompiled model; see `ModelFamily.build`."""
        import keras

        tensors = keras_inputs(inputs)
        hidden = dense_stack(
            embedded(inputs, tensors, self.embedding_dim),
            self.hidden_units,
            self.activation,
            self.dropout,
            self.batch_normalization,
        )
        logits = keras.layers.Dense(output_units(task, num_classes), name="logits")(hidden)
        return keras.Model(tensors, head(logits, task), name="mlp")
