"""Family `bi_lstm`: `lstm` that reads each sequence from both ends."""

from __future__ import annotations

from typing import Literal

from components.model.families.lstm import Lstm


class BiLstm(Lstm):
    """An `lstm` that reads each sequence from both ends, with a state for each.

    Use it to classify texts where what follows a word matters as much as what came before. It is `family: lstm` with
    `bidirectional: true` and takes the same parameters.

    Args:
        units: size of the state of each recurrent layer; each hands its states at all steps to the next.
        bidirectional: read each sequence from both ends, with a state for each; always true.
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
        Graves, Schmidhuber: Framewise Phoneme Classification with Bidirectional LSTM, 2005; Schuster, Paliwal:
        Bidirectional Recurrent Neural Networks, 1997.

    Example:
        >>> BiLstm(units=(32,)).bidirectional
        True
    """

    bidirectional: Literal[True] = True
