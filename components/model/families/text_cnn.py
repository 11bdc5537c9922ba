"""Family `text_cnn`: windows of several sizes slide over a sequence, and each filter keeps its strongest answer."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from components.model.layers import joined, normalized
from components.model.options import Units
from components.model.sequence_family import SequenceFamily
from components.model.sequences import pooled


class TextCnn(SequenceFamily):
    """One layer of convolutions over the words of a text, and of each filter the maximum over the text.

    Use it to classify texts by short phrases wherever they stand (`token_ids`): it is quick, and strong with a few
    thousand texts. It does not know where in the text a phrase was, so take another family to forecast a series.

    Args:
        filters: how many per size of window.
        kernel_sizes: sizes of the windows in steps; each from 1 to 100. A window begins at each word; behind the last
            one are zeros.
        embedding_dim: size of every embedding; None chooses one by the number of ids.
        series: names of vectors of which each value is a step.
        hidden_units: width of each hidden layer behind the maxima; none by default, as in the paper.
        activation: of convolutions and hidden layers.
        dropout: share of the maxima, and of what each hidden layer gives, that is dropped while training; the paper
            takes 0.5; 0 to below 1.
        spatial_dropout: share of the embedding's channels that is dropped in all words alike; 0 to below 1.
        normalization: of each convolution, before its activation: `batch`, `layer` or `none`.
        l1: times the sum of the absolute weights of convolutions and dense layers, added to the loss; 0 or more.
        l2: times the sum of their squares; 0 or more. The paper bounds the norm of the last layer instead.

    Shapes:
        In `[batch, length]` per text, `[batch, width]` per other feature; out `[batch, 1]`, or `[batch, classes]` for
        multiclass tasks.

    Reference:
        Kim: Convolutional Neural Networks for Sentence Classification, 2014, https://arxiv.org/abs/1408.5882.

    Example:
        >>> TextCnn(filters=64, dropout=0.5).kernel_sizes
        (3, 4, 5)
    """

    filters: int = Field(default=100, ge=1)
    kernel_sizes: tuple[Annotated[int, Field(ge=1, le=100)], ...] = Field(default=(3, 4, 5), min_length=1)
    hidden_units: tuple[Units, ...] = ()

    def encode(self, steps: Any, mask: Any, name: str) -> Any:
        """Return the maximum of each filter over the windows that begin at a word."""
        import keras

        maxima = []
        for size in dict.fromkeys(self.kernel_sizes):
            longer = keras.layers.ZeroPadding1D((0, size - 1), name=f"{name}_{size}_padding")(steps)
            convolution = keras.layers.Conv1D(
                self.filters,
                size,
                use_bias=self.normalization != "batch",
                kernel_regularizer=self.regularizer(),
                name=f"{name}_{size}_convolution",
            )
            found = normalized(convolution(longer), self.normalization, f"{name}_{size}_normalization", mask)
            found = keras.layers.Activation(self.activation, name=f"{name}_{size}_activation")(found)
            maxima.append(pooled(found, mask, "max"))
        return joined(maxima, f"{name}_maxima")
