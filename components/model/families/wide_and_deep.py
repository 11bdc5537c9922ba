"""Family `wide_and_deep`: a linear model that memorizes beside dense layers that generalize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from components.features import ModelInput, Task
from components.model.family import ModelFamily
from components.model.layers import (
    Activation,
    dense_stack,
    embedded,
    head,
    is_sequence,
    keras_inputs,
    mean_of_tokens,
    output_units,
)

if TYPE_CHECKING:
    import keras


_HASH_PRIME = 7919
"""Has no factor in common with round numbers of buckets, so combinations spread over all of them."""


class WideAndDeep(ModelFamily):
    """A linear part over categories and their crosses, added to a deep part over embeddings.

    Use it when single categories, or pairs of them, matter by themselves. With few categories `mlp` does as well.

    Args:
        hidden_units: width of each hidden layer of the deep part.
        activation: of the hidden layers.
        dropout: share of each hidden layer's outputs that is dropped while training.
        batch_normalization: normalize each hidden layer before its activation.
        embedding_dim: size of every embedding; None chooses one by the number of ids.
        crosses: groups of model inputs, such as `[[hour, day]]`, whose combinations get a weight each in the wide
            part; they must be ids (end their chain with `vocabulary`, `bucketize` or `hash`).
        cross_buckets: the most weights that one cross may have; more combinations than that share them by a hash.

    Shapes:
        In `[batch, width]` per feature; out `[batch, 1]`, or `[batch, classes]` for multiclass tasks.

    Raises:
        ValueError: a cross names something that is not an input, or that is not ids.

    Reference:
        Cheng et al., Wide & Deep Learning for Recommender Systems, 2016, https://arxiv.org/abs/1606.07792. There
        each part has its own optimizer; here one optimizer fits both.

    Example:
        >>> WideAndDeep(crosses=[["hour", "day"]]).crosses
        (('hour', 'day'),)
    """

    hidden_units: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(128, 64), min_length=1)
    activation: Activation = "relu"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    batch_normalization: bool = False
    embedding_dim: int | None = Field(default=None, ge=1)
    crosses: tuple[tuple[str, ...], ...] = ()
    cross_buckets: int = Field(default=10_000, ge=2, le=10_000_000)

    @field_validator("crosses")
    @classmethod
    def _two_different_names(cls, crosses: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        for cross in crosses:
            if len(set(cross)) < 2 or len(set(cross)) != len(cross):
                raise ValueError(f"a cross needs two or more different inputs, got {list(cross)}")
        return crosses

    def named_inputs(self) -> tuple[str, ...]:
        """Return the names in `crosses`."""
        return tuple(dict.fromkeys(name for cross in self.crosses for name in cross))

    def build(self, inputs: Sequence[ModelInput], task: Task, num_classes: int) -> keras.Model:
        """Return an uncompiled model; see `ModelFamily.build`."""
        import keras

        tensors = keras_inputs(inputs)
        units = output_units(task, num_classes)
        hidden = dense_stack(
            embedded(inputs, tensors, self.embedding_dim),
            self.hidden_units,
            self.activation,
            self.dropout,
            self.batch_normalization,
        )
        deep = keras.layers.Dense(units, name="deep")(hidden)
        logits = keras.layers.Add(name="logits")([*self._wide(inputs, tensors, units), deep])
        return keras.Model(tensors, head(logits, task), name="wide_and_deep")

    def _wide(self, inputs: Sequence[ModelInput], tensors: dict[str, Any], units: int) -> list[Any]:
        """Return the summands of the linear part: a weight per id is an embedding with one unit per output."""
        import keras

        parts = []
        flat = keras.layers.Flatten(name="wide_flat")
        dense = [each for each in inputs if not each.is_ids]
        dense = [tensors[each.name] if len(each.shape) == 1 else flat(tensors[each.name]) for each in dense]
        if dense:
            joined = dense[0] if len(dense) == 1 else keras.layers.Concatenate(name="wide_dense")(dense)
            parts.append(keras.layers.Dense(units, use_bias=False, name="wide_linear")(joined))
        ids = [(each.name, tensors[each.name], each.cardinality) for each in inputs if each.cardinality is not None]
        texts = {each.name for each in inputs if is_sequence(each)}
        for name, tensor, size in [*ids, *self._crossed(inputs, tensors)]:
            weights = keras.layers.Embedding(size, units, embeddings_initializer="zeros", name=f"{name}_wide")(tensor)
            parts.append(mean_of_tokens(weights, tensor) if name in texts else keras.ops.sum(weights, axis=1))
        return parts

    def _crossed(self, inputs: Sequence[ModelInput], tensors: dict[str, Any]) -> list[tuple[str, Any, int]]:
        """Return name, ids and number of ids of every cross."""
        by_name = {each.name: each for each in inputs}
        found = []
        for cross in self.crosses:
            cardinalities = [_cardinality(name, by_name) for name in cross]
            combinations = math.prod(cardinalities)
            exact = combinations <= self.cross_buckets
            ids = tensors[cross[0]]
            for name, cardinality in zip(cross[1:], cardinalities[1:], strict=True):
                ids = ids * (cardinality if exact else _HASH_PRIME) + tensors[name]
            size = combinations if exact else self.cross_buckets
            found.append(("_x_".join(cross), ids if exact else ids % size, size))
        return found


def _cardinality(name: str, by_name: dict[str, ModelInput]) -> int:
    if name not in by_name:
        raise ValueError(f"crosses name {name!r}, which is no input of the model; inputs: {', '.join(by_name)}")
    each = by_name[name]
    if each.cardinality is None or each.shape != (1,):
        raise ValueError(
            f"crosses name {name!r}, which is not one id per row; end its chain with vocabulary, bucketize or hash"
        )
    return each.cardinality
