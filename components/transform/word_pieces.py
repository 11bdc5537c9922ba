"""Learn the pieces of words, and cut words into them by the longest match, in plain TensorFlow operations."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers

from components.transform.column import LARGEST_HASH
from components.transform.most_frequent import Counts, MostFrequent

CONTINUED = "##"
"""In front of a piece that does not begin a word."""

GROWTH = 0.05
"""Share of the pieces there are that are added before everything is counted again."""

PAIR = 2**32


class Pieces(NamedTuple):
    """The pieces in the order of their hashes.

    Args:
        texts: string `[n]`.
        hashes: int64 `[n]`, ascending.
        longest: characters of the longest one, an int64 scalar.
    """

    texts: tf.Tensor
    hashes: tf.Tensor
    longest: tf.Tensor


def learned_pieces(words: tf.Tensor, size: int, unknown: str) -> Pieces:
    """Return what `WordPieces` finds in the training data.

    Args:
        words: string `[n]`.
        size: how many pieces at most.
        unknown: the piece that stands for words that cannot be cut.
    """
    # TFT names an analyzer after its scope
    with tf.compat.v1.name_scope(None, "word_pieces"):
        return Pieces(*analyzers._apply_cacheable_combiner(WordPieces(size, unknown), words))


class WordPieces(MostFrequent):
    """Counts words, and joins their characters to pieces.

    Args:
        size: how many pieces at most.
        unknown: a piece that is always among them.
    """

    def __init__(self, size: int, unknown: str) -> None:
        super().__init__("string")
        self._size = size
        self._unknown = unknown

    def extract_output(self, accumulator: Counts) -> list[np.ndarray]:
        """Return the three parts of `Pieces`."""
        words: Counts = collections.Counter()
        for word, count in accumulator.items():
            words[word.decode("utf-8", "replace")] += count
        words.pop("", None)
        found = sorted({self._unknown, *pieces_of(words, self._size - 1)})
        texts = np.array([piece.encode() for piece in found], object)
        hashes = _hashes(tf.constant(texts)).numpy()
        order = np.argsort(hashes, kind="stable")
        longest = max(len(piece.removeprefix(CONTINUED)) for piece in found)
        return [texts[order], hashes[order], np.array(longest, np.int64)]

    def output_tensor_infos(self) -> list[analyzer_nodes.TensorInfo]:
        """Return the types of the three outputs."""
        kinds: list[tuple[tf.DType, list[int | None]]] = [(tf.string, [None]), (tf.int64, [None]), (tf.int64, [])]
        return [analyzer_nodes.TensorInfo(dtype, shape, None) for dtype, shape in kinds]


def pieces_of(words: Mapping[str, int], size: int) -> list[str]:
    """Return the pieces of words, characters first.

    It begins with the characters and joins the pair of neighbours whose joining raises the likelihood of the words
    most, when every piece is drawn by itself as often as it occurs, until there are enough or none raises it. Several
    pairs are joined before everything is counted again, up to GROWTH of the pieces that there are, as long as no two
    of them share a piece.

    Args:
        words: word to how often it occurs.
        size: how many pieces at most.

    Example:
        >>> sorted(pieces_of({"low": 5, "lower": 3, "newer": 3}, 20))[-3:]
        ['n', 'new', 'newer']
    """
    ordered = sorted(words)
    letters = [letter if not at else CONTINUED + letter for word in ordered for at, letter in enumerate(word)]
    text = _Text.of(letters, np.repeat(np.arange(len(ordered)), [len(word) for word in ordered]))
    counts = np.array([words[word] for word in ordered], np.int64)
    totals = _totals(letters, counts[text.words])
    # of more different characters than pieces, the most frequent ones
    pieces = sorted(sorted(totals, key=lambda each: (-totals[each], each))[:size])
    numbers = {piece: number for number, piece in enumerate(pieces)}
    text = text._replace(pieces=np.array([numbers.get(letter, -1) for letter in letters], np.int64))
    while len(pieces) < size:
        most = min(size - len(pieces), max(1, int(GROWTH * len(pieces))))
        pairs = _best_pairs(text, counts[text.words], len(pieces), most)
        if not pairs:
            break
        made = {}
        for left, right in pairs:
            piece = pieces[left] + pieces[right].removeprefix(CONTINUED)
            if piece not in numbers:
                numbers[piece] = len(pieces)
                pieces.append(piece)
            made[left * PAIR + right] = numbers[piece]
        text = _joined(text, made)
    return pieces


class _Text(NamedTuple):
    """Words one after the other: number of each piece, -1 for a character without one, and of the word it is in."""

    pieces: np.ndarray
    words: np.ndarray

    @classmethod
    def of(cls, letters: list[str], words: np.ndarray) -> _Text:
        return cls(np.full(len(letters), -1, np.int64), words)

    def pairs(self) -> np.ndarray:
        """Return a key for each piece and the one behind it, -1 where they do not stand in one word."""
        left, right = self.pieces[:-1], self.pieces[1:]
        neighbours = (self.words[:-1] == self.words[1:]) & (left >= 0) & (right >= 0)
        return np.where(neighbours, left * PAIR + right, -1)


def _totals(letters: list[str], counts: np.ndarray) -> dict[str, int]:
    totals: collections.Counter[str] = collections.Counter()
    for letter, count in zip(letters, counts.tolist(), strict=True):
        totals[letter] += count
    return totals


def _best_pairs(text: _Text, counts: np.ndarray, pieces: int, most: int) -> list[tuple[int, int]]:
    """Return the pairs to join, the best first; no two share a piece."""
    keys, place = np.unique(text.pairs(), return_inverse=True)
    together = np.bincount(place, counts[:-1], len(keys))[keys >= 0]
    keys = keys[keys >= 0]
    left, right = keys // PAIR, keys % PAIR
    known = text.pieces >= 0
    alone = np.bincount(text.pieces[known], counts[known], pieces)
    # of the same piece three times in a row, two can be joined
    together = np.where(left == right, np.minimum(together, alone[left] // 2), together)
    total = alone.sum()
    after_left = alone[left] - np.where(left == right, 2, 1) * together
    after_right = np.where(left == right, 1, alone[right] - together)
    before = _terms(alone[left]) + np.where(left == right, 0, _terms(alone[right])) - _terms(total)
    after = _terms(after_left) + _terms(after_right) + _terms(together) - _terms(total - together)
    gains = np.round(after - before, 6)  # so that equal ones are equal on every machine
    chosen: list[tuple[int, int]] = []
    taken: set[int] = set()
    for index in np.lexsort((keys, -gains)):
        pair = int(left[index]), int(right[index])
        if len(chosen) == most or gains[index] <= 0:
            break
        if taken.isdisjoint(pair):
            chosen.append(pair)
            taken.update(pair)
    return chosen


def _terms(counts: np.ndarray) -> np.ndarray:
    """Return what pieces that occur so often add to the logarithm of the likelihood."""
    return counts * np.log(np.maximum(counts, 1))


def _joined(text: _Text, made: Mapping[int, int]) -> _Text:
    """Return the text in which some pairs are one piece, `made` of their key."""
    keys, pieces = (np.array(each, np.int64) for each in zip(*sorted(made.items()), strict=True))
    pairs = text.pairs()
    place = np.minimum(np.searchsorted(keys, pairs), len(keys) - 1)
    marked = keys[place] == pairs
    at = np.arange(len(pairs))
    # of the same piece many times in a row, the first and second are joined, the third and fourth, and so on
    begins = np.maximum.accumulate(np.where(marked & ~np.append(False, marked[:-1]), at, 0))
    first = np.flatnonzero(marked & ((at - begins) % 2 == 0))
    joined = text.pieces.copy()
    joined[first] = pieces[place[first]]
    kept = np.ones(len(joined), bool)
    kept[first + 1] = False
    return _Text(joined[kept], text.words[kept])


def cut(words: tf.Tensor, pieces: Pieces, unknown: str, max_word_length: int) -> tf.RaggedTensor:
    """Return the pieces of each word: from its beginning on always the longest one that fits.

    Args:
        words: string `[n]`, valid UTF-8, none of them empty.
        pieces: what words are made of.
        unknown: the one piece of a word that is too long or has a part that no piece fits.
        max_word_length: characters of the longest word that is cut.
    """
    distinct, place = tf.unique(words)
    lengths = tf.strings.length(distinct, "UTF8_CHAR")
    rows = tf.cast(tf.where(lengths <= max_word_length)[:, 0], tf.int32)
    several, no_texts = tf.TensorShape([None]), tf.zeros([0], tf.string)

    def more(rows: tf.Tensor, *_: tf.Tensor) -> tf.Tensor:
        return tf.size(rows) > 0

    def next_piece(rows: tf.Tensor, at: tf.Tensor, *found: tf.Tensor) -> tuple[tf.Tensor, ...]:
        texts = tf.gather(distinct, rows)
        left = tf.gather(lengths, rows) - at
        taken = _longest(texts, at, left, pieces)
        piece = _part(texts, at, taken)
        fits = taken > 0
        goes_on = fits & (taken < left)
        found_rows, found_texts, failed = found
        return (
            tf.boolean_mask(rows, goes_on),
            tf.boolean_mask(at + taken, goes_on),
            tf.concat([found_rows, tf.boolean_mask(rows, fits)], 0),
            tf.concat([found_texts, tf.boolean_mask(piece, fits)], 0),
            tf.concat([failed, tf.boolean_mask(rows, ~fits)], 0),
        )

    nothing = tf.zeros([0], tf.int32)
    _, _, found_rows, found_texts, failed = tf.while_loop(
        more, next_piece, (rows, tf.zeros_like(rows), nothing, no_texts, nothing), shape_invariants=(several,) * 5
    )
    too_long = lengths > max_word_length
    is_failed = tf.tensor_scatter_nd_update(too_long, failed[:, tf.newaxis], tf.ones_like(failed, tf.bool))
    return tf.gather(_of_words(found_rows, found_texts, is_failed, unknown), place)


def _of_words(rows: tf.Tensor, texts: tf.Tensor, is_failed: tf.Tensor, unknown: str) -> tf.RaggedTensor:
    """Return the pieces that were found word by word, and `unknown` for the words that failed on the way."""
    kept = ~tf.gather(is_failed, rows)
    whole = tf.cast(tf.where(is_failed)[:, 0], tf.int32)
    rows = tf.concat([tf.boolean_mask(rows, kept), whole], 0)
    texts = tf.concat([tf.boolean_mask(texts, kept), tf.fill([tf.size(whole)], unknown)], 0)
    order = tf.argsort(rows, stable=True)
    row_of_piece = tf.cast(tf.gather(rows, order), tf.int64)
    words = tf.size(is_failed, tf.int64)
    return tf.RaggedTensor.from_value_rowids(tf.gather(texts, order), row_of_piece, words, validate=False)


def _longest(texts: tf.Tensor, at: tf.Tensor, left: tf.Tensor, pieces: Pieces) -> tf.Tensor:
    """Return how many characters the longest piece has that stands at a place of each text; 0 for none."""
    most = tf.minimum(tf.cast(pieces.longest, tf.int32), tf.reduce_max(left))
    sizes = tf.minimum(tf.range(1, most + 1)[tf.newaxis, :], left[:, tf.newaxis])
    candidates = _part(tf.repeat(texts, most), tf.repeat(at, most), tf.reshape(sizes, [-1]))
    place = tf.searchsorted(pieces.hashes, _hashes(candidates))
    place = tf.minimum(place, tf.size(pieces.hashes) - 1)
    found = tf.reshape(tf.equal(tf.gather(pieces.texts, place), candidates), tf.shape(sizes))
    return tf.reduce_max(tf.where(found, sizes, 0), axis=1)


def _part(texts: tf.Tensor, at: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Return so many characters of each text from a place on, as a piece is written."""
    parts = tf.strings.substr(texts, at, sizes, "UTF8_CHAR")
    return tf.where(at > 0, tf.strings.join([CONTINUED, parts]), parts)


def _hashes(texts: tf.Tensor) -> tf.Tensor:
    return tf.strings.to_hash_bucket_fast(texts, LARGEST_HASH)
