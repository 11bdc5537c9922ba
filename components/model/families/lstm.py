"""Family `lstm`: long short-term memory, read step by step, beside all other features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from components.model.recurrent_family import RecurrentFamily


class Lstm(RecurrentFamily):
    """A network with long short-term memory: cells with gates decide what to keep of a sequence while they read it.

    Use it where the order of steps far apart matters: to forecast series (`data.series`) or classify sequences. It
    reads one step after the other, so long sequences are slow: `text_cnn` and `temporal_cnn` are much quicker.

    Args:
        units: size of the state of each recurrent layer; each hands its states at all steps to the next.
        bidirectional: read each sequence from both ends, with a state for each.
        embedding_dim: size of every embedding; None chooses one by the number of ids.
        series: names of vectors of which each value is a step.
        hidden_units: width of each hidden layer behind the last state; none by default.
        activation: of the hidden layers; the cells keep their own.
        dropout: share of what each recurrent and hidden layer gives that is dropped while training; 0 to below 1.
        spatial_dropout: share of the embedding's channels that is dropped in all words alike; 0 to below 1.
        normalization: of what each recurrent layer gives: `batch`, `layer` or `none`.
        l1: times the sum of the absolute weights of cells and dense layers, added to the loss; 0 or more.
        l2: times the sum of their squares; 0 or more.

    Shapes:
        In `[batch, length]` per text, `[batch, 1]` per lag, `[batch, width]` per other feature; out `[batch, 1]`, or
        `[batch, classes]` for multiclass tasks. A layer has, per direction,
        `4 * units * (channels + units + 1)` weights.

    Reference:
        Hochreiter, Schmidhuber: Long Short-Term Memory, 1997; Gers, Schmidhuber, Cummins: Learning to Forget, 2000.

    Example:
        >>> Lstm(units=(32,)).bidirectional
        False
    """

    cell: ClassVar[str] = "lstm"

    def layer(self) -> Callable[..., Any]:
        """Return Keras' layer."""
        import keras

        return keras.layers.LSTM
