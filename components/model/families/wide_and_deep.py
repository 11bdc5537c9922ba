"""Family `wide_and_deep`: a linear model that memorizes beside dense layers that generalize."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from components.features import ModelInput, Task
from components.model.family import ModelFamily
from components.model.layers import (
    dense_stack,
    embedded,
    head,
    id_weights,
    keras_inputs,
    linear_parts,
    logits,
    output_units,
)
from components.model.options import HiddenLayers, Normalized, Units

if TYPE_CHECKING:
    import keras


_HASH_PRIME = 7919
"""Has no factor in common with round numbers of buckets, so combinations spread over all of them."""


class WideAndDeep(HiddenLayers, Normalized, ModelFamily):
    """A linear part over categories and their crosses, added to a deep part over embeddings.

    Use it when single categories, or pairs of them, matter by themselves. With few categories `mlp` does as well.

    Args:
        hidden_units: width of each hidden layer of the deep part.
        activation: of the hidden layers.
        dropout: share of each hidden layer's outputs that is dropped while training; 0 to below 1.
        normalization: of each hidden layer, before its activation: `batch`, `layer` or `none`.
        l1: times the sum of the absolute weights of dense layers and of the wide part, added to the loss; 0 or more.
        l2: times the sum of their squares; 0 or more.
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

    hidden_units: tuple[Units, ...] = Field(default=(128, 64), min_length=1)
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
        hidden = dense_stack(embedded(inputs, tensors, self.embedding_dim), self, self.normalization)
        wide = linear_parts(inputs, tensors, units, self.regularizer(), "wide")
        for name, ids, size in self._crossed(inputs, tensors):
            wide.append(keras.ops.sum(id_weights(ids, size, units, self.regularizer(), f"{name}_wide"), axis=1))
        total = keras.layers.Add(name="logits")([*wide, logits(hidden, units, self, "deep")])
        return keras.Model(tensors, head(total, task), name="wide_and_deep")

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
