"""The words of texts as tensors: ragged and sparse, numbered by a vocabulary, counted into vectors."""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING

import tensorflow as tf
import tensorflow_transform as tft

if TYPE_CHECKING:
    from components.transform.column import Column

ACCENTED = 0x2000
"""Code points below it may be a letter with an accent: Latin, Greek, Cyrillic and the other alphabets."""


def as_ragged(tokens: tf.SparseTensor) -> tf.RaggedTensor:
    """Return the tokens row by row."""
    return tf.RaggedTensor.from_value_rowids(
        tokens.values, tokens.indices[:, 0], nrows=tokens.dense_shape[0], validate=False
    )


def vocabulary_of(column: Column, top_k: int, min_frequency: int) -> tf.Tensor:
    """Return the file of the most frequent tokens of the training data, the most frequent one first."""
    return tft.vocabulary(
        column.values.values,
        top_k=top_k,
        frequency_threshold=min_frequency if min_frequency > 1 else None,
        vocab_filename=column.name,
    )


def token_places(column: Column, top_k: int, min_frequency: int) -> tf.SparseTensor:
    """Return the ids of all tokens, `0 … top_k - 1`, and -1 of those that the vocabulary has not."""
    tokens = column.values
    file = vocabulary_of(column, top_k, min_frequency)
    return tf.SparseTensor(
        tokens.indices, tft.apply_vocabulary(tokens.values, file, default_value=-1), tokens.dense_shape
    )


def known_tokens(column: Column, top_k: int, min_frequency: int) -> tf.SparseTensor:
    """Return the ids of the tokens that the vocabulary has, `0 … top_k - 1`; the others are left out."""
    ids = token_places(column, top_k, min_frequency)
    return tf.sparse.retain(ids, ids.values >= 0)


def spread(rows: tf.Tensor, places: tf.Tensor, amounts: tf.Tensor, shape: tuple[tf.Tensor, int]) -> tf.Tensor:
    """Return zeros `[batch, width]`, to which each amount is added in its row and place.

    Args:
        rows: the row of each amount, int64 `[n]`.
        places: its place in the row, int64 `[n]`.
        amounts: float32 `[n]`.
        shape: how many rows, an int64 scalar, and the width.
    """
    batch, width = shape
    dense = tf.scatter_nd(tf.stack([rows, places], axis=1), amounts, tf.stack([batch, tf.constant(width, tf.int64)]))
    return tf.ensure_shape(dense, [None, width])


def without_accents(text: tf.Tensor) -> tf.Tensor:
    """Return the texts with each accented letter as its base letter, and without combining marks.

    It is Unicode's NFD with the marks left out, for the code points below ACCENTED. TensorFlow has an operation for
    NFD in tensorflow-text only, which TF Serving does not know.

    Args:
        text: string `[n]`.
    """
    letters = tf.strings.unicode_decode(text, "UTF-8")
    plain = tf.constant(_base_letters(), tf.int32)
    small = tf.minimum(letters.flat_values, ACCENTED - 1)
    flat = tf.where(letters.flat_values < ACCENTED, tf.gather(plain, small), letters.flat_values)
    stripped = tf.ragged.boolean_mask(letters.with_flat_values(flat), letters.with_flat_values(flat >= 0))
    return tf.strings.unicode_encode(stripped, "UTF-8")


@functools.cache
def _base_letters() -> list[int]:
    """Return for each code point the one of its base letter, or -1 for a combining mark."""
    found = []
    for code in range(ACCENTED):
        base = unicodedata.normalize("NFD", chr(code))
        kept = [letter for letter in base if not unicodedata.combining(letter)]
        found.append(ord(kept[0]) if kept else -1)
    return found
