"""Augmentation step `window_slicing`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.input_step import InputStep
from components.augmentation.step import Facts, Kind, Refusal
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class WindowSlicing(InputStep):
    """Takes a part of each series and stretches it to the length of the whole, between time steps linearly.

    Use it to classify series where a part shows the class as well, at any speed. Do not use it to forecast: the last
    steps, which tell most, can be cut off.

    Args:
        share: length of the part, as a share of the series, over 0 and below 1; the paper takes 0.9.
        inputs: names of the series; default: all vectors. Name them when other vectors, such as one-hot categories, are
            among the model's inputs.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        series `[batch, steps]` or `[batch, steps, features]` to the same; at least 3 steps.

    Reference:
        Le Guennec, Malinowski, Tavenard (2016): Data augmentation for time series classification using convolutional
        neural networks.

    Example:
        >>> WindowSlicing(share=0.8).share
        0.8
    """

    shorthand: ClassVar[str | None] = "share"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"vector"})
    share: float = Field(default=0.9, gt=0, lt=1)

    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:
        if refusal := super().refuses(inputs):
            return refusal
        for each in self.chosen(inputs):
            if each.shape[0] < 3:
                received = f"window_slicing on {each.name!r}, a series of {each.shape[0]} step(s)"
                return received, "3 steps or more, to take a part of", "Remove the step, or name longer series."
        return None

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        steps = values.shape[1]
        last = self.share * (steps - 1)
        first = draws.uniform([tf.shape(values)[0], 1], 0.0, steps - 1 - last)
        places = first + tf.linspace(0.0, last, steps)
        below = tf.clip_by_value(tf.cast(tf.floor(places), tf.int32), 0, steps - 2)
        way = tf.reshape(places - tf.cast(below, tf.float32), [-1, steps, *[1] * (len(values.shape) - 2)])
        before, after = (tf.gather(values, at, batch_dims=1) for at in (below, below + 1))
        return before + (after - before) * way
