"""Texts and their translations as ids, found for whole batches at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.augmentation.sequences import PADDING

Translate = Callable[[list[str]], list[str]]
"""Returns as many texts as it is given, each there and back again."""

TEXTS_AT_ONCE = 256
"""Texts that a translator is given in one call."""

_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True)
class Translations:
    """The other version of each text that has one, in the order of the texts' hashes.

    Args:
        factors: what the ids of a text are multiplied by for its hash, int64 `[length]`.
        hashes: int64 `[texts]`, ascending.
        texts: int64 `[texts, length]`, to tell a text from another one of the same hash.
        others: int64 `[texts, length]`, 0 behind the last word.
    """

    factors: Any
    hashes: Any
    texts: Any
    others: Any

    @classmethod
    def of(cls, texts: np.ndarray, others: np.ndarray) -> Translations:
        """Return the translations of texts, each of which is there once.

        Args:
            texts: ids of words, int64 `[texts, length]`, at least one.
            others: the same of their translations.
        """
        import tensorflow as tf

        highest = np.iinfo(np.int64).max
        factors = np.random.default_rng(0).integers(-highest, highest, texts.shape[1], np.int64)
        hashes, first = np.unique((texts * factors).sum(axis=1), return_index=True)
        with tf.device("CPU"):  # tensors, which a graph refers to: it would hold a copy of arrays
            return cls(*(tf.constant(each) for each in (factors, hashes, texts[first], others[first])))

    def other(self, ids: Any) -> Any:
        """Return the translation of each text of a batch, and the text itself where there is none."""
        import tensorflow as tf

        hashes = tf.reduce_sum(ids * self.factors, axis=1)
        place = tf.minimum(tf.searchsorted(self.hashes, hashes, out_type=tf.int64), len(self.hashes) - 1)
        same = tf.reduce_all(tf.gather(self.texts, place) == ids, axis=1, keepdims=True)
        return tf.where(same, tf.gather(self.others, place), ids)


def distinct(batches: Iterable[np.ndarray]) -> np.ndarray:
    """Return each text once, int64 `[texts, length]`.

    Args:
        batches: ids of words, `[rows, length]` each, at least one batch.
    """
    found: np.ndarray | None = None
    for batch in batches:
        found = np.unique(batch if found is None else np.concatenate([found, batch]), axis=0)
    return np.zeros((0, 1), np.int64) if found is None else found


def translations_of(
    texts: np.ndarray, words: Sequence[str | None], translate: Translate, said: Callable[[int, int], None]
) -> Translations | None:
    """Translate each text that has a word, and return those that come back as another one; None when none does.

    Args:
        texts: ids of words, each text once, `[texts, length]`.
        words: word of each id; None where an id stands for no single word, which is left out.
        translate: there and back again.
        said: called with how many texts are done, and how many there are.
    """
    ids = {word: number for number, word in enumerate(words) if word is not None}
    read = [" ".join(filter(None, (words[each] for each in row))) for row in texts.tolist()]
    places = [place for place, text in enumerate(read) if text]
    others = np.full_like(texts, PADDING)
    for begin in range(0, len(places), TEXTS_AT_ONCE):
        said(begin, len(places))
        some = places[begin : begin + TEXTS_AT_ONCE]
        for place, text in zip(some, translate([read[each] for each in some]), strict=True):
            row = [found for word in text.split() if (found := _id_of(word, ids)) is not None][: texts.shape[1]]
            others[place, : len(row)] = row
    said(len(places), len(places))
    differs = (others != PADDING).any(axis=1) & (others != texts).any(axis=1)
    return Translations.of(texts[differs], others[differs]) if differs.any() else None


def _id_of(word: str, ids: dict[str, int]) -> int | None:
    """Return the id of a translated word: as it is, in lower case, or without the punctuation around it."""
    bare = _EDGES.sub("", word)
    return next((ids[each] for each in (word, word.lower(), bare, bare.lower()) if each in ids), None)
