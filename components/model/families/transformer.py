"""Family `transformer`: an encoder of self-attention over the steps of a sequence."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from components.model.sequence_family import SequenceFamily
from components.model.sequences import Pooling, pooled, positions

_SLOWEST = 10_000.0
"""Of sinusoidal positions, as in the paper: wave lengths go from 2 pi to this many times 2 pi steps."""


class Transformer(SequenceFamily):
    """A transformer encoder: each step looks at all others and takes what concerns it.

    Use it where steps far apart belong together, from some ten thousand rows up: it knows nothing of order or
    neighbourhood but what it learns. With fewer rows `text_cnn` does better. Time and memory grow with the square of
    the length.

    Args:
        width: channels of each step; a multiple of `heads`.
        layers: blocks of attention and two dense layers; 1 to 24.
        heads: how many ways each block looks at the steps.
        feedforward_units: width of the first of the two dense layers of each block.
        positions: `sinusoidal`, which holds for any length, or `learned`, a vector for each place of the sequence.
        pooling: what becomes of the last block: the `mean` or `max` of each channel over the steps, or its `last` step.
        embedding_dim: size of every embedding; None takes `width` for tokens, and chooses one by the number of other
            ids.
        series: names of vectors of which each value is a step.
        hidden_units: width of each hidden layer behind the blocks; none by default.
        activation: of the dense layers.
        dropout: share of steps with their positions, of what attention and each dense layer give, that is dropped
            while training; 0 to below 1.
        spatial_dropout: share of the embedding's channels that is dropped in all words alike; 0 to below 1.
        normalization: `layer`, before attention and before the dense layers of each block; the paper has it behind
            them, which needs a slow start. A transformer has no other.
        l1: times the sum of the absolute weights of attention and dense layers, added to the loss; 0 or more.
        l2: times the sum of their squares; 0 or more.

    Shapes:
        In `[batch, length]` per text, `[batch, 1]` per lag, `[batch, width]` per other feature; out `[batch, 1]`, or
        `[batch, classes]` for multiclass tasks.

    Raises:
        ValueError: `width` is no multiple of `heads`.

    Reference:
        Vaswani et al.: Attention Is All You Need, 2017, https://arxiv.org/abs/1706.03762; Xiong et al.: On Layer
        Normalization in the Transformer Architecture, 2020, https://arxiv.org/abs/2002.04745.

    Example:
        >>> Transformer(width=32, heads=2).positions
        'sinusoidal'
    """

    width: int = Field(default=64, ge=1)
    layers: int = Field(default=2, ge=1, le=24)
    heads: int = Field(default=4, ge=1)
    feedforward_units: int = Field(default=128, ge=1)
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    pooling: Pooling = "mean"
    normalization: Literal["layer"] = "layer"

    @model_validator(mode="after")
    def _fits(self) -> Transformer:
        if self.width % self.heads:
            fits = math.ceil(self.width / self.heads) * self.heads
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}; {fits} is one")
        return self

    def token_embedding(self, cardinality: int, name: str) -> Any:
        """Return an embedding whose channels, times the root of the width, vary about as much as positions do."""
        import keras

        spread = keras.initializers.RandomNormal(stddev=self.width**-0.5)
        return keras.layers.Embedding(
            cardinality, self.embedding_dim or self.width, embeddings_initializer=spread, name=name
        )

    def encode(self, steps: Any, mask: Any, name: str) -> Any:
        """Return what the last block says of the sequence."""
        import keras

        if mask is not None:
            steps = steps * math.sqrt(self.width)
        if steps.shape[-1] != self.width:
            steps = self._to(self.width, f"{name}_channels_to_width")(steps)
        steps = self._dropped(steps + self._places(steps, name), f"{name}_steps_dropout")
        for at in range(1, self.layers + 1):
            steps = self._block(steps, mask, f"{name}_{at}")
        return pooled(keras.layers.LayerNormalization(name=f"{name}_normalization")(steps), mask, self.pooling)

    def _block(self, steps: Any, mask: Any, name: str) -> Any:
        import keras

        attention = keras.layers.MultiHeadAttention(
            self.heads,
            self.width // self.heads,
            dropout=self.dropout,
            kernel_regularizer=self.regularizer(),
            name=f"{name}_attention",
        )
        scaled = keras.layers.LayerNormalization(name=f"{name}_attention_normalization")(steps)
        seen = attention(scaled, scaled, attention_mask=None if mask is None else mask[:, None, :])
        steps = keras.layers.Add(name=f"{name}_attention_sum")(
            [steps, self._dropped(seen, f"{name}_attention_dropout")]
        )
        inner = keras.layers.LayerNormalization(name=f"{name}_dense_normalization")(steps)
        inner = self._to(self.feedforward_units, f"{name}_dense_1", self.activation)(inner)
        inner = self._to(self.width, f"{name}_dense_2")(inner)
        return keras.layers.Add(name=f"{name}_dense_sum")([steps, self._dropped(inner, f"{name}_dense_dropout")])

    def _places(self, steps: Any, name: str) -> Any:
        """Return a vector for each place, `[batch, steps, width]`."""
        import keras
        import numpy as np

        places = positions(steps)
        if self.positions == "learned":
            spread = keras.initializers.RandomNormal(stddev=0.1)
            length = steps.shape[1]
            return keras.layers.Embedding(
                length, self.width, embeddings_initializer=spread, name=f"{name}_positions"
            )(places)  # fmt: skip
        pairs = np.arange(math.ceil(self.width / 2), dtype="float32")
        speeds = np.exp(-math.log(_SLOWEST) * 2 * pairs / self.width).astype("float32")
        angles = keras.ops.expand_dims(keras.ops.cast(places, "float32"), -1) * speeds
        waves = keras.ops.concatenate([keras.ops.sin(angles), keras.ops.cos(angles)], axis=-1)[:, :, : self.width]
        return keras.ops.cast(waves, steps.dtype)

    def _to(self, units: int, name: str, activation: str | None = None) -> Any:
        import keras

        return keras.layers.Dense(units, activation=activation, kernel_regularizer=self.regularizer(), name=name)

    def _dropped(self, tensor: Any, name: str) -> Any:
        import keras

        return keras.layers.Dropout(self.dropout, name=name)(tensor) if self.dropout else tensor
