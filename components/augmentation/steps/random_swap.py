"""Augmentation step `random_swap`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from components.augmentation.sequences import PADDING, WordStep, drawn_order, gathered, lengths, ranks
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomSwap(WordStep):
    """Swaps pairs of words of a text.

    Use it where the words matter more than their order, with few training texts. Do not use it for models that read the
    order, such as taggers. A bag of words does not notice it.

    Args:
        share: pairs that are swapped, as a share of the text's words, over 0 and below 1; at least one pair. No word is
            swapped twice.
        inputs: names of the texts; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        ids `[batch, length]` to the same, 0 behind the last word. A text of one word stays.

    Reference:
        Wei and Zou (2019): EDA: Easy data augmentation techniques for boosting performance on text classification
        tasks.

    Example:
        >>> import numpy as np
        >>> from components.augmentation.draws import Draws
        >>> RandomSwap(share=0.5).augment(np.int64([[5, 6, 0, 0]]), Draws([0, 0]), None, None).numpy().tolist()
        [[6, 5, 0, 0]]
    """

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        order = drawn_order(values != PADDING, draws)
        pairs = tf.minimum(self.count(values), lengths(values) // 2)
        place = tf.range(tf.shape(values)[1])
        # places 0 and 1 of the random order are a pair, 2 and 3 the next
        partner = tf.minimum(tf.bitwise.bitwise_xor(place, 1), tf.shape(values)[1] - 1)
        swapped = tf.where(place < 2 * tf.expand_dims(pairs, 1), tf.gather(order, partner, axis=1), order)
        return gathered(values, gathered(swapped, ranks(order)))
