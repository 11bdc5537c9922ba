"""Augmentation step `synonym_replacement`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.sequences import PADDING, WordStep, drawn_order, ranks
from components.augmentation.step import Facts
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class SynonymReplacement(WordStep):
    """Replaces words of a text by synonyms from a file.

    Use it with few training texts and a thesaurus of their language and field. Do not use it with a general thesaurus
    where words have a meaning of their own, as in law or medicine. Words that the text's vocabulary does not hold have
    no synonyms, and synonyms that it does not hold are left out.

    Args:
        thesaurus: a file of lines `word TAB synonym,synonym`, relative to the spec. No default.
        share: words that are replaced, as a share of the text's words, over 0 and below 1; at least one, as far as
            there are words with a synonym.
        inputs: names of the texts; default: all.
        fraction: share of rows that it is tried on, over 0 to 1.

    Shapes:
        ids `[batch, length]` to the same, 0 behind the last word.

    Raises:
        ComponentError: the thesaurus knows none of the texts' words.

    Reference:
        Zhang, Zhao, LeCun (2015): Character-level convolutional networks for text classification; Wei and Zou (2019):
        EDA: Easy data augmentation techniques for boosting performance on text classification tasks.

    Example:
        >>> SynonymReplacement(thesaurus="synonyms.tsv").files()
        ('synonyms.tsv',)
    """

    shorthand: ClassVar[str | None] = "thesaurus"
    thesaurus: str = Field(min_length=1)

    def files(self) -> tuple[str, ...]:
        return (self.thesaurus,)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:
        import tensorflow as tf

        from components.augmentation.synonyms import synonyms_of

        synonyms = synonyms_of(self.thesaurus, model_input.name, facts)
        among = (values != PADDING) & synonyms.has_any(values)
        drawn = ranks(drawn_order(among, draws)) < tf.expand_dims(self.count(values), 1)
        return tf.where(among & drawn, synonyms.drawn(values, draws), values)
