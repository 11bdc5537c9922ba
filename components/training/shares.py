"""What each copy of the model is fed when several learn together: its share of every global batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from components.training.input_fn import (
    SHUFFLE_ROWS,
    EpochOrder,
    Split,
    as_written,
    augmenting,
    mapped,
    parser,
    records_of,
    taker,
)


@dataclass(frozen=True)
class Share:
    """The copies of the model that one process feeds, among all.

    Row `i` of a global batch belongs to copy `i % copies`, so that all of them together see each row once per epoch, in
    the batches that one process would make.

    Args:
        first: number of this process's first copy.
        count: its copies, one per local device.
        copies: copies in all processes together.
    """

    first: int
    count: int
    copies: int


@dataclass(frozen=True)
class Batches:
    """How a split is cut.

    Args:
        split: what is cut.
        size: rows of a global batch; the last one of an epoch may have fewer.
        share: whose part is wanted.
    """

    split: Split
    size: int
    share: Share

    @property
    def steps(self) -> int:
        """Global batches per epoch."""
        return self.split.steps(self.size)

    def rows_of(self, copy: Any, rows: Any) -> tuple[Any, Any]:
        """Return which rows of a global batch of `rows` a copy takes, and 1.0 for those that count.

        Every copy takes equally many, so that shapes are static; where a batch has too few, rows are repeated that do
        not count.
        """
        import tensorflow as tf

        each = -(-self.size // self.share.copies)
        places = copy + self.share.copies * tf.range(each, dtype=tf.int64)
        return places % rows, tf.cast(places < rows, tf.float32)


def shared_training_dataset(batches: Batches, order: EpochOrder, first_epoch: int, first_step: int = 0) -> Any:
    """Return endless batches, epoch after epoch: one element per local copy and step, copy by copy.

    The first epoch begins with one of its steps. An element is a dictionary: `features`, `label`, `weight` `[rows]`
    with 0 where a row does not count, `counts` `[rows]` with 1.0 where it does, and `rows`, the number of rows of the
    whole global batch.
    """
    import tensorflow as tf

    # An epoch's number comes with the data: what is prefetched may already be of the next one.
    epochs = tf.data.Dataset.counter(tf.constant(first_epoch, tf.int64))

    def begin(epoch: Any) -> Any:
        return tf.where(epoch == first_epoch, tf.constant(first_step, tf.int64), 0)

    if batches.split.columns is None:
        dataset = epochs.flat_map(as_written(lambda epoch: _from_files(batches, order, epoch, begin(epoch))))
    else:
        cut = _cutter(batches)

        def one_epoch(epoch: Any) -> Any:
            rows = batches.split.rows
            permutation = tf.numpy_function(lambda e: order.permutation(rows, epoch=int(e)), [epoch], tf.int64)
            permutation = tf.ensure_shape(permutation, [rows])
            return mapped(_turns(batches, begin(epoch)), lambda step, copy: cut(step, copy, permutation, epoch))

        dataset = epochs.flat_map(as_written(one_epoch))
    return dataset.prefetch(tf.data.AUTOTUNE)


def shared_evaluation_dataset(batches: Batches) -> Any:
    """Return the split again and again in the order of its files; see `shared_training_dataset` for an element."""
    import tensorflow as tf

    if batches.split.columns is None:
        dataset = _from_files(batches, None, None)
    else:
        cut = _cutter(batches)
        dataset = mapped(_turns(batches), lambda step, copy: cut(step, copy))
    return dataset.repeat().prefetch(tf.data.AUTOTUNE)


def _turns(batches: Batches, first_step: Any = 0) -> Any:
    """Return (step, copy) of one epoch from a step on: all local copies of a step, then the next step."""
    import tensorflow as tf

    first, count = batches.share.first, batches.share.count
    turns = tf.data.Dataset.range(first_step * count, batches.steps * count)
    return mapped(turns, lambda turn: (turn // count, first + turn % count))


def _cutter(batches: Batches) -> Any:
    """Return a function from step, copy, order of rows and epoch to an element; the data are in memory.

    Without an order it is the evaluation's, which is not augmented.
    """
    import tensorflow as tf

    split, size, augment = batches.split, batches.size, augmenting(batches.split)
    if split.columns is None:
        raise TypeError("the split is not in memory")
    take, total = taker(split.columns), split.rows

    def cut(step: Any, copy: Any, permutation: Any | None = None, epoch: Any = None) -> Any:
        rows = tf.minimum(tf.constant(size, tf.int64), total - step * size)
        places, counts = batches.rows_of(copy, rows)
        places = step * size + places
        if permutation is None:
            return _element(take(places), counts, rows)
        return _element(augment(take(tf.gather(permutation, places)), epoch, step, copy), counts, rows)

    return cut


def _from_files(batches: Batches, order: EpochOrder | None, epoch: Any | None, first_step: Any = 0) -> Any:
    """Return one epoch read from files, from a step on; the rows are shared out before they are parsed."""
    import tensorflow as tf

    records, parse = records_of(batches.split), parser(batches.split)
    if order is not None:

        def shuffled(block: Any, read: Any) -> Any:
            function = lambda size, b, e: order.permutation(int(size), int(b), epoch=int(e))  # noqa: E731
            rows = tf.numpy_function(function, [tf.size(read), block, epoch], tf.int64)
            return tf.gather(read, tf.ensure_shape(rows, [None]))

        blocks = records.batch(SHUFFLE_ROWS).enumerate().map(as_written(shuffled))
        whole = blocks.rebatch(batches.size)
    else:
        whole = records.batch(batches.size)
    first, count, augment = batches.share.first, batches.share.count, augmenting(batches.split)
    copies = tf.data.Dataset.range(first, first + count)
    turns = (
        whole.enumerate()
        .skip(first_step)
        .flat_map(as_written(lambda step, read: copies.map(as_written(lambda copy: (step, copy, read)))))
    )

    def cut(step: Any, copy: Any, read: Any) -> Any:
        rows = tf.size(read, tf.int64)
        places, counts = batches.rows_of(copy, rows)
        batch = parse(tf.gather(read, places))
        return _element(batch if epoch is None else augment(batch, epoch, step, copy), counts, rows)

    return mapped(turns, cut)


def _element(batch: Any, counts: Any, rows: Any) -> dict[str, Any]:
    import tensorflow as tf

    features, label, *weight = batch
    return {
        "features": features,
        "label": label,
        "weight": weight[0] * counts if weight else counts,
        "counts": counts,
        "rows": tf.cast(rows, tf.float32),
    }
