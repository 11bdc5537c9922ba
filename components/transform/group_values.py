"""Look up the value of a row's group, in a table that analysis leaves in the graph."""

from __future__ import annotations

import tensorflow as tf

from components.transform.column import LARGEST_HASH, Column
from components.transform.combiners import MISSING_GROUP


def group_keys(group: Column) -> tf.Tensor:
    """Return a number per group of rows, int64 `[batch, 1]`: a hash of its name, or MISSING_GROUP."""
    hashed = tf.strings.to_hash_bucket_fast(group.values, LARGEST_HASH)
    return tf.where(group.present, hashed, tf.constant(MISSING_GROUP, tf.int64))


def grouped_rows(column: Column, keys: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return keys and values `[n]` of the rows that have a value."""
    return tf.gather_nd(keys, tf.where(column.present)), column.present_values


def find_keys(keys: tf.Tensor, table: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return where keys are in a table, and whether they are.

    Args:
        keys: int64 `[batch, 1]`.
        table: int64 `[g]`, ascending, at least one.

    Returns:
        int64 places in the table, `[batch, 1]`, 0 to g - 1, and a boolean `[batch, 1]`.
    """
    flat = tf.reshape(keys, [-1])
    last = tf.size(table, tf.int64) - 1
    places = tf.minimum(tf.searchsorted(table, flat, out_type=tf.int64), last)
    found = tf.equal(tf.gather(table, places), flat)
    return tf.reshape(places, [-1, 1]), tf.reshape(found, [-1, 1])


def known_groups(table: tf.Tensor) -> tf.Tensor:
    """Return how many groups a table has, for the report; the placeholder of an empty one does not count."""
    return tf.reduce_sum(tf.cast(table >= 0, tf.int64))
