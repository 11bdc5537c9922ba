"""Family `linear`: a weight per value and per id, and a bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from components.features import ModelInput, Task
from components.model.family import ModelFamily
from components.model.layers import head, id_weights, keras_inputs, linear_parts, output_units
from components.model.options import Penalties

if TYPE_CHECKING:
    import keras


class Linear(Penalties, ModelFamily):
    """A linear model: logistic regression for classes, linear regression for numbers.

    Use it as the baseline that other families must beat, or where each weight must be read. It knows no interaction:
    give it crosses (`transform: NAME: [cross: …, hash: …]`) or take `wide_and_deep`. Of a text's ids it takes the mean
    weight.

    Args:
        l1: times the sum of the absolute weights, added to the loss; drives those that do not help to 0; 0 or more.
        l2: times the sum of the squared weights; 0 or more. The bias costs nothing.

    Shapes:
        In `[batch, …]` per feature; out `[batch, 1]`, or `[batch, classes]` for multiclass tasks. Weights per output:
        one per dense value, one per id, one bias.

    Reference:
        Hastie, Tibshirani, Friedman: The Elements of Statistical Learning, 2nd edition, sections 3.4 and 4.4.

    Example:
        >>> Linear(l1=0.001).l2
        0.0
    """

    def build(self, inputs: Sequence[ModelInput], task: Task, num_classes: int) -> keras.Model:
        """Return an uncompiled model; see `ModelFamily.build`."""
        import keras

        tensors = keras_inputs(inputs)
        parts = linear_parts(inputs, tensors, output_units(task, num_classes), self.regularizer(), "linear")
        summed = parts[0] if len(parts) == 1 else keras.layers.Add(name="weighted")(parts)
        # Keras has no layer that only adds a bias: it is the weight of an id that every row has
        same_id = keras.ops.zeros_like(summed[:, :1], dtype="int32")
        bias = keras.ops.sum(id_weights(same_id, 1, output_units(task, num_classes), None, "bias"), axis=1)
        return keras.Model(tensors, head(keras.layers.Add(name="logits")([summed, bias]), task), name="linear")
