"""Augmentation step `random_deletion`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.input_step import InputStep
from components.augmentation.sequences import PADDING, SEQUENCE, gathered
from components.augmentation.step import Facts, Kind
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomDeletion(InputStep):
    """Leaves out words of a text; those behind them move up.

    Use it with few training texts, so that a model does not lean on single words. Do not use it where one word turns
    the meaning, such as "not".

    Args:
        rate: chance of each word to be left out, over 0 and below 1. One word of each text stays.
        inputs: names of the texts; default: all.
        fraction: share of rows that it is tried on, over 0 to 1.

    Shapes:
        ids `[batch, length]` to the same, 0 behind the last word.

    Reference:
        Wei and Zou (2019): EDA: Easy data augmentation techniques for boosting performance on text classification
        tasks.

    Example:
        >>> import numpy as np
        >>> from components.augmentation.draws import Draws
        >>> RandomDeletion(rate=0.5).augment(np.int64([[5, 6, 7, 0]]), Draws([0, 0]), None, None).numpy().tolist()
        [[6, 7, 0, 0]]
    """

    shorthand: ClassVar[str | None] = "rate"
    accepts: ClassVar[frozenset[Kind]] = SEQUENCE
    rate: float = Field(default=0.1, gt=0, lt=1)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        chance = tf.where(values != PADDING, draws.uniform(tf.shape(values)), -1.0)
        stays = (chance >= self.rate) | (chance == tf.reduce_max(chance, axis=1, keepdims=True))
        length = tf.shape(values)[1]
        place = tf.range(length)
        order = tf.argsort(tf.where(stays, place, place + length), axis=1)
        return gathered(tf.where(stays, values, tf.constant(PADDING, values.dtype)), order)
