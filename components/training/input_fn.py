"""What the model is fed: whole batches from memory while a split fits, else from its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from components.augmentation.augmenter import Augmenter
from components.engine.examples import read_records
from components.errors import ComponentError
from components.features import LABEL, WEIGHT, ModelInput, Task
from components.training.columns import Columns, check_values, example_spec, load_columns

CACHE_MEMORY_FRACTION = 0.25
"""Part of the free memory that `cache: auto` lets a split take."""

SHUFFLE_ROWS = 65_536
"""Rows that are shuffled at a time when the split is read from its files."""


class EpochOrder:
    """Knows the current epoch, so that each epoch has an order of rows of its own, whichever epoch a run starts with.

    Args:
        seed: of the whole training.

    Example:
        >>> order = EpochOrder(seed=1)
        >>> first = order.permutation(5).tolist()
        >>> order.epoch = 1
        >>> first == order.permutation(5).tolist()
        False
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.epoch = 0

    def permutation(self, rows: int, block: int = 0, epoch: int | None = None) -> np.ndarray:
        """Return the order of the rows, or of one block of them, in the current epoch or in the one that is named."""
        return np.random.default_rng([self.seed, self.epoch if epoch is None else epoch, block]).permutation(rows)


@dataclass(frozen=True)
class Split:
    """One split of transformed examples, in memory or in files.

    Args:
        folder: the split's folder.
        rows: number of examples.
        inputs: the model's inputs.
        task: decides the label's dtype.
        weighted: there is a weight column.
        columns: the data in memory, or None.
        augment: what its batches pass through in training; evaluation never does.
    """

    folder: str
    rows: int
    inputs: tuple[ModelInput, ...]
    task: Task
    weighted: bool
    columns: Columns | None
    augment: Augmenter | None = None

    @property
    def mixes_labels(self) -> bool:
        """True when a label of a training batch is a share of each class."""
        return self.augment is not None and self.augment.mixes

    def steps(self, batch_size: int) -> int:
        """Return the number of batches, the last, smaller one included."""
        return -(-self.rows // batch_size)


def open_split(
    folder: str,
    inputs: Sequence[ModelInput],
    task: Task,
    num_classes: int,
    *,
    weighted: bool = False,
    cache: Literal["auto", "always", "never"] = "auto",
) -> Split:
    """Read a split into memory, or count its rows when it stays in its files.

    Args:
        folder: the split's folder of gzipped TFRecords.
        inputs: the model's inputs.
        task: decides the label's dtype.
        num_classes: classes of the label.
        weighted: there is a weight column.
        cache: whether to hold it in memory; `auto` takes up to a quarter of the free memory.

    Raises:
        ComponentError: the split is empty, or has values no model can learn from.
    """
    columns = None
    if cache != "never":
        limit = float("inf") if cache == "always" else CACHE_MEMORY_FRACTION * _free_memory()
        columns = load_columns(folder, inputs, task, weighted=weighted, byte_limit=limit)
    rows = sum(len(records) for records in read_records(folder)) if columns is None else columns.rows
    if not rows:
        name = Path(folder).name.removeprefix("Split-")
        raise ComponentError(
            f"The {name} split has no rows to learn from.",
            spec_path="data.split",
            remedy="Give it a larger part in data.split, or let cleaning drop less.",
        )
    if columns is not None:
        check_values(columns, num_classes)
    return Split(folder, rows, tuple(inputs), task, weighted, columns)


def _free_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def training_dataset(split: Split, batch_size: int, order: EpochOrder, first_step: int = 0) -> Any:
    """Return one epoch of shuffled batches, `(features, label)` or `(features, label, weight)`, from one of them on.

    Each iteration over it is the epoch that `order` is at. Features are a dictionary of `[batch, width]`, the label is
    `[batch, 1]`, the weight `[batch]`. Augmentation may make a label of it that is a share of each class.
    """
    import tensorflow as tf

    steps = split.steps(batch_size)
    once, augment = tf.data.Dataset.from_tensors(0), augmenting(split)
    if split.columns is None:
        # Not Dataset.shuffle: its seed cannot follow the epoch, so a resumed run would see other batches.
        def shuffled(block: Any, records: Any) -> Any:
            rows = tf.numpy_function(order.permutation, [tf.size(records), block], tf.int64)
            return tf.gather(records, tf.ensure_shape(rows, [None]))

        parse = parser(split)
        blocks = records_of(split).batch(SHUFFLE_ROWS).enumerate().map(as_written(shuffled))
        whole = blocks.rebatch(batch_size).enumerate().skip(first_step)
        epochs = once.map(as_written(lambda _: tf.numpy_function(lambda: order.epoch, [], tf.int64)))
        batches = epochs.flat_map(
            as_written(lambda epoch: mapped(whole, lambda step, records: augment(parse(records), epoch, step)))
        )
    else:
        rows, take = split.rows, taker(split.columns)

        def in_order(permutation: Any, epoch: Any) -> Any:
            permutation = tf.ensure_shape(permutation, [rows])
            return mapped(
                tf.data.Dataset.range(first_step, steps),
                lambda step: augment(take(permutation[step * batch_size : (step + 1) * batch_size]), epoch, step),
            )

        both = lambda: (order.permutation(rows), order.epoch)  # noqa: E731
        orders = once.map(as_written(lambda _: tf.numpy_function(both, [], (tf.int64, tf.int64))))
        batches = orders.flat_map(as_written(in_order))
    return batches.apply(tf.data.experimental.assert_cardinality(steps - first_step)).prefetch(tf.data.AUTOTUNE)


def evaluation_dataset(split: Split, batch_size: int) -> Any:
    """Return the split in the order of its files; see `training_dataset` for what a batch is."""
    import tensorflow as tf

    steps = split.steps(batch_size)
    if split.columns is None:
        batches = mapped(records_of(split).batch(batch_size), parser(split))
        return batches.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(tf.data.AUTOTUNE)
    rows, take = split.rows, taker(split.columns)
    starts = tf.data.Dataset.range(0, rows, batch_size)
    batches = mapped(starts, lambda start: take(tf.range(start, tf.minimum(start + batch_size, rows))))
    return batches.prefetch(tf.data.AUTOTUNE)


def augmenting(split: Split) -> Any:
    """Return a function from batch, epoch, number in the epoch, and copy, to the batch that is learned from."""
    return split.augment or (lambda batch, epoch, number, copy=0: batch)  # noqa: ARG005


def as_written(function: Any) -> Any:
    """Keep autograph away: there is no `if` or `for` to convert, and looking for them takes longer than tracing."""
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def mapped(dataset: Any, function: Any) -> Any:
    """Map in parallel, in order."""
    import tensorflow as tf

    return dataset.map(as_written(function), num_parallel_calls=tf.data.AUTOTUNE)


def taker(columns: Columns) -> Any:
    """Return a function from row numbers to a batch; the data are captured tensors, not constants of its graph."""
    import tensorflow as tf

    with tf.device("CPU"):
        dense, ids, label = tf.constant(columns.dense), tf.constant(columns.ids), tf.constant(columns.label)
        weight = None if columns.weight is None else tf.constant(columns.weight)

    def take(rows: Any) -> Any:
        features = columns.features(tf.gather(dense, rows), tf.gather(ids, rows))
        batch = (features, tf.gather(label, rows))
        return batch if weight is None else (*batch, tf.gather(weight, rows))

    return take


def records_of(split: Split) -> Any:
    """Return the serialized examples of a split's files."""
    import tensorflow as tf

    files = sorted(
        str(path) for path in Path(split.folder).iterdir() if path.suffix == ".gz" or "tfrecord" in path.name
    )
    return tf.data.TFRecordDataset(files, compression_type="GZIP" if files[0].endswith(".gz") else None)


def parser(split: Split) -> Any:
    """Return a function from serialized examples to a batch."""
    import tensorflow as tf

    spec = example_spec(split.inputs, split.task, split.weighted)

    def parse(records: Any) -> Any:
        parsed = tf.io.parse_example(records, spec)
        batch = ({each.name: parsed[each.column] for each in split.inputs}, parsed[LABEL])
        return (*batch, parsed[WEIGHT][:, 0]) if split.weighted else batch

    return parse
