"""Family `temporal_cnn`: causal convolutions that look further back in each block."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from components.model.layers import normalized
from components.model.options import Units
from components.model.sequence_family import SequenceFamily
from components.model.sequences import Pooling, pooled


class TemporalCnn(SequenceFamily):
    """A temporal convolutional network: residual blocks of causal convolutions, each looking twice as far back.

    Use it to forecast series (`data.series`) and to classify long sequences: all steps are computed at once, so it is
    quicker than `lstm`. It sees `1 + 2 * (kernel_size - 1) * (2 ** blocks - 1)` steps: 61 with the defaults. Give it a
    block more for windows twice as long.

    Args:
        filters: of the two convolutions of each block; their steps are 1, 2, 4 … apart.
        kernel_size: steps that a convolution looks at; 1 to 15, default 3.
        pooling: what becomes of the last block: its `last` step, or the `mean` or `max` of each filter over all steps,
            for long texts.
        embedding_dim: size of every embedding; None chooses one by the number of ids.
        series: names of vectors of which each value is a step.
        hidden_units: width of each hidden layer behind the last block; none by default.
        activation: of convolutions and hidden layers.
        dropout: share of what the last block and each hidden layer give that is dropped while training; 0 to below 1.
        spatial_dropout: share of channels that is dropped at all steps alike, of the embedding and behind each
            convolution, as in the paper; 0 to below 1.
        normalization: of each convolution, before its activation: `batch`, `layer` or `none`. The paper normalizes
            weights instead.
        l1: times the sum of the absolute weights of convolutions and dense layers, added to the loss; 0 or more.
        l2: times the sum of their squares; 0 or more.

    Shapes:
        In `[batch, length]` per text, `[batch, 1]` per lag, `[batch, width]` per other feature; out `[batch, 1]`, or
        `[batch, classes]` for multiclass tasks.

    Reference:
        Bai, Kolter, Koltun: An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
        Modeling, 2018, https://arxiv.org/abs/1803.01271.

    Example:
        >>> TemporalCnn(filters=(16, 16)).pooling
        'last'
    """

    filters: tuple[Units, ...] = Field(default=(32, 32, 32, 32), min_length=1, max_length=12)
    kernel_size: int = Field(default=3, ge=1, le=15)
    pooling: Pooling = "last"

    def encode(self, steps: Any, mask: Any, name: str) -> Any:
        """Return what the last block says of the sequence."""
        import keras

        for block, filters in enumerate(self.filters, start=1):
            inner, shortcut = steps, steps
            for turn in (1, 2):
                inner = self._convolved(inner, mask, filters, 2 ** (block - 1), f"{name}_{block}_{turn}")
            if steps.shape[-1] != filters:
                shortcut = keras.layers.Conv1D(
                    filters, 1, kernel_regularizer=self.regularizer(), name=f"{name}_{block}_shortcut"
                )(steps)
            summed = keras.layers.Add(name=f"{name}_{block}_sum")([inner, shortcut])
            steps = keras.layers.Activation(self.activation, name=f"{name}_{block}_activation")(summed)
        return pooled(steps, mask, self.pooling)

    def _convolved(self, steps: Any, mask: Any, filters: int, apart: int, name: str) -> Any:
        import keras

        convolution = keras.layers.Conv1D(
            filters,
            self.kernel_size,
            padding="causal",
            dilation_rate=apart,
            use_bias=self.normalization != "batch",
            kernel_regularizer=self.regularizer(),
            name=f"{name}_convolution",
        )
        steps = normalized(convolution(steps), self.normalization, f"{name}_normalization", mask)
        steps = keras.layers.Activation(self.activation, name=f"{name}_activation")(steps)
        if self.spatial_dropout:
            steps = keras.layers.SpatialDropout1D(self.spatial_dropout, name=f"{name}_dropout")(steps)
        return steps
