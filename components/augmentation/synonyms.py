"""Synonyms from a file, as ids of the words that a text's vocabulary holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from components.augmentation.step import Facts
from components.augmentation.thesaurus import parsed
from components.errors import ComponentError

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


@dataclass(frozen=True)
class Synonyms:
    r"""The synonyms of each word.

    Args:
        begins: where a word's synonyms begin in `synonyms`, int64 `[ids]`.
        counts: how many it has, int64 `[ids]`.
        synonyms: ids of words, int64, one word's after the other's.

    Example:
        >>> found = Synonyms.of(parsed("big\tlarge, huge\n"), [None, "large", "big", "cat"])
        >>> found.counts.tolist(), found.synonyms.tolist()
        ([0, 0, 1, 0], [1])
    """

    begins: np.ndarray
    counts: np.ndarray
    synonyms: np.ndarray

    @classmethod
    def of(cls, entries: dict[str, tuple[str, ...]], words: Sequence[str | None]) -> Synonyms:
        """Return the synonyms among the words of a vocabulary.

        Args:
            entries: what `parsed` returned.
            words: word of each id; None where an id stands for no single word.
        """
        ids = {word: number for number, word in enumerate(words) if word is not None}
        found = [[ids[each] for each in entries.get(word or "", ()) if each in ids and each != word] for word in words]
        counts = np.array([len(each) for each in found], np.int64)
        begins = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        return cls(begins, counts, np.array([one for each in found for one in each], np.int64))

    def has_any(self, ids: Any) -> Any:
        """Return for which words there is a synonym, bool of the shape of `ids`."""
        import tensorflow as tf

        return tf.gather(self.counts, ids) > 0

    def drawn(self, ids: Any, draws: Draws) -> Any:
        """Return a synonym of each word, drawn from its own; words without one stay."""
        import tensorflow as tf

        counts = tf.gather(self.counts, ids)
        place = tf.cast(draws.uniform(tf.shape(ids)) * tf.cast(counts, tf.float32), tf.int64)
        place = tf.gather(self.begins, ids) + tf.minimum(place, tf.maximum(counts - 1, 0))
        found = tf.gather(self.synonyms, tf.minimum(place, len(self.synonyms) - 1))
        return tf.where(counts > 0, found, ids)


def synonyms_of(file: str, name: str, facts: Facts) -> Synonyms:
    """Return the synonyms in a file for the words of an input.

    Raises:
        ComponentError: the file cannot be read as a thesaurus, or knows none of the input's words.
    """
    try:
        entries = parsed(facts.files[file])
    except ValueError as error:
        raise ComponentError(f"{file}: {error}.", spec_path="augmentation", remedy="Correct that line.") from error
    found = Synonyms.of(entries, facts.words(name))
    if not len(found.synonyms):
        raise ComponentError(
            f"{file} has no word and synonym that are both in the vocabulary of {name!r}.",
            spec_path="augmentation",
            remedy="Write words as transform leaves them (lower case, for instance), or enlarge the vocabulary.",
        )
    return found
