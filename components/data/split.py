"""Which rows are for training and which for evaluation: the same rows for the same data, always."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.data.config import SplitConfig
from components.engine.encoder import column_features
from components.errors import ComponentError

_ISO_TIME = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?$"


class Splitter:
    """Tells the rows of a batch that are for training.

    Args:
        config: section `data.split`.
        rows: number of rows in all; needed by `ratio` only.
        training: for `time`, one boolean per row of the whole data set, as `oldest` returns it.
    """

    def __init__(self, config: SplitConfig, rows: int = 0, training: np.ndarray | None = None) -> None:
        self.config = config
        self.first = round(rows * config.train / (config.train + config.eval))
        self.training = training

    def __call__(self, records: Sequence[bytes], columns: Callable[[], pa.RecordBatch], start: int) -> np.ndarray:
        """Return one boolean per row.

        Args:
            records: the rows as serialized tf.Examples.
            columns: gives the rows as columns; only called for a hash of columns.
            start: index of the first row in the whole data set.
        """
        if self.config.by == "ratio":
            return np.arange(start, start + len(records)) < self.first
        if self.training is not None:
            return self.training[start : start + len(records)]
        total = self.config.train + self.config.eval
        if not self.config.columns:
            return buckets(records, total) < self.config.train
        return self._by_columns(columns(), total)

    def _by_columns(self, batch: pa.RecordBatch, total: int) -> np.ndarray:
        """Hash the chosen columns: of one column its tf.Feature, as TFX does for a partition feature."""
        features = [column_features(batch.column(name)) for name in self.config.columns]
        keys = features[0] if len(features) == 1 else pc.binary_join_element_wise(*features, b"")
        different = keys.dictionary_encode()
        training = buckets(different.dictionary.to_pylist(), total) < self.config.train
        return np.asarray(training[different.indices.to_numpy()])


def buckets(values: Sequence[bytes], count: int) -> np.ndarray:
    """Return `sha256(value) mod count` for each value, the digest read as one large number.

    Example:
        >>> int(hashlib.sha256(b"a").hexdigest(), 16) % 7 == buckets([b"a"], 7)[0]
        np.True_
    """
    digests = b"".join([hashlib.sha256(value).digest() for value in values])
    words = np.frombuffer(digests, ">u4").reshape(-1, 8).astype(np.uint64)
    left = np.zeros(len(words), np.uint64)
    for place in range(8):
        left = (left << np.uint64(32) | words[:, place]) % np.uint64(count)
    return left.astype(np.int64)


def oldest(values: Iterable[pa.Array], config: SplitConfig) -> np.ndarray:
    """Return which rows are the oldest, the share of `train`; a row without a time counts as oldest.

    Args:
        values: the time column, batch by batch: numbers, or text like 2024-05-31 or 2024-05-31 10:00:00.
        config: section `data.split`.

    Raises:
        ComponentError: the text is no ISO time, so its order is not that of time.
    """
    chunks = [_sortable(chunk, config.columns[0]) for chunk in values]
    kinds = {chunk.type for chunk in chunks if not pa.types.is_null(chunk.type)}
    kind = pa.float64() if len(kinds) > 1 else next(iter(kinds), pa.int64())
    column = pa.chunked_array([chunk.cast(kind) for chunk in chunks], kind).combine_chunks()
    ranks = pc.rank(column, sort_keys="ascending", null_placement="at_start", tiebreaker="first")
    return np.asarray(ranks.to_numpy() <= round(len(column) * config.train / (config.train + config.eval)))


def _sortable(values: pa.Array, name: str) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        different = _sortable(values.dictionary, name)
        return different.take(values.indices)
    if not pa.types.is_binary(values.type):
        return values
    text = values.cast(pa.string())
    iso = pc.match_substring_regex(text, _ISO_TIME)
    if not pc.all(iso).as_py():
        wrong = text.filter(pc.invert(iso))[0].as_py()
        raise ComponentError(
            f"data.split goes by time, but column {name!r} holds {wrong!r}, which does not sort as a time.",
            spec_path="data.split.columns",
            remedy="Write times as 2024-05-31, 2024-05-31 10:00:00 or seconds since 1970.",
        )
    return text
