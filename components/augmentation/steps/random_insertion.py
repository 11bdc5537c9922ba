"""Augmentation step `random_insertion`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from components.augmentation.sequences import PADDING, WordStep, drawn_order, gathered, lengths
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomInsertion(WordStep):
    """Puts words into a text at random places: synonyms of its words, or the words once more.

    Use it with few training texts. Do not use it where the order of words decides, or with texts that fill the length
    already: what is put in pushes the last words out.

    Args:
        share: words that are put in, as a share of the text's words, over 0 and below 1; at least one.
        thesaurus: a file of lines `word TAB synonym,synonym`, relative to the spec; the words put in are then synonyms
            of words of the text. Default: none, they are words of the text itself.
        inputs: names of the texts; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        ids `[batch, length]` to the same, 0 behind the last word. A text without words stays.

    Raises:
        ComponentError: the thesaurus knows none of the texts' words.

    Reference:
        Wei and Zou (2019): EDA: Easy data augmentation techniques for boosting performance on text classification
        tasks.

    Example:
        >>> import numpy as np
        >>> from components.augmentation.draws import Draws
        >>> RandomInsertion(share=0.5).augment(np.int64([[5, 6, 0, 0]]), Draws([0, 1]), None, None).numpy().tolist()
        [[5, 6, 6, 0]]
    """

    thesaurus: str | None = Field(default=None, min_length=1)

    def files(self) -> tuple[str, ...]:
        return () if self.thesaurus is None else (self.thesaurus,)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:
        import tensorflow as tf

        rows, length = tf.unstack(tf.shape(values))
        among, most = values != PADDING, max(1, round(self.share * values.shape[1]))
        new, words = values, tf.expand_dims(lengths(values), 1)
        if self.thesaurus is not None:
            from components.augmentation.synonyms import synonyms_of

            synonyms = synonyms_of(self.thesaurus, model_input.name, facts)
            among &= synonyms.has_any(values)
            new = synonyms.drawn(values, draws)
        sources = drawn_order(among, draws)[:, :most]
        wanted = (tf.range(most) < tf.expand_dims(self.count(values), 1)) & gathered(among, sources)
        # a word has its place as key, a new one a key between two places, and padding one behind all
        gap = tf.floor(draws.uniform([rows, most]) * tf.cast(words + 1, tf.float32)) - 0.5
        behind = tf.cast(2 * length, tf.float32)
        place = tf.where(values != PADDING, tf.range(tf.cast(length, tf.float32)), behind)
        order = tf.argsort(tf.concat([place, tf.where(wanted, gap, behind)], axis=1), axis=1, stable=True)
        added = tf.where(wanted, gathered(new, sources), tf.constant(PADDING, values.dtype))
        return gathered(tf.concat([values, added], axis=1), order[:, :length])
