"""Some rows of the raw data, split and cleaned as a run does it, without TFX: what `check` and `explain` look at."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.spec import PipelineSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from components.cleaning.step import Learned

ROWS = 20_000
"""Rows of a sample, when nothing else is asked for."""

LOOK_AT_MOST = 1 << 30
"""Bytes of rows that are gone through to draw a sample."""


@dataclass(frozen=True)
class Sample:
    """Rows of the raw data by split, before cleaning.

    Args:
        splits: `train` and `eval`, in the order of the data; flat columns as the examples have them.
        numbers: split to the number of each of its rows in the raw data, from 1; rows in quarantine do not count.
        seen: rows that were gone through.
        complete: False where the data are so large that only a part was gone through.
    """

    splits: Mapping[str, pa.RecordBatch]
    numbers: Mapping[str, np.ndarray]
    seen: int
    complete: bool

    @property
    def rows(self) -> int:
        """Rows in the sample."""
        return sum(batch.num_rows for batch in self.splits.values())

    def __str__(self) -> str:
        counts = ", ".join(f"{batch.num_rows:,} {name}" for name, batch in self.splits.items())
        whole = "all" if self.complete else "the first"
        if self.rows == self.seen and self.complete:
            return f"all {self.rows:,} rows ({counts})"
        return f"a sample of {self.rows:,} rows ({counts}) out of {whole} {self.seen:,}"


@dataclass(frozen=True)
class Cleaned:
    """A split after the cleaning steps.

    Args:
        batch: the rows that stay.
        numbers: for each of them, its index in the split before cleaning.
        dropped_by: for each row before cleaning, the position of the step that dropped it; -1 where it stays.
    """

    batch: pa.RecordBatch
    numbers: np.ndarray
    dropped_by: np.ndarray


def read_sample(spec: PipelineSpec, data_path: str, rows: int = ROWS) -> Sample:
    """Draw a sample; rows with equal features are in it together or not at all, so that duplicates can be found.

    Args:
        spec: the declaration; its `data.split` divides the rows.
        data_path: `data.path`, resolved.
        rows: at most so many; the same ones for the same data.

    Raises:
        ComponentError: a row is bad, and bad rows are errors.
        SpecError: the files are missing or differ.
    """
    from components.data.ingest import SPLITS, open_table, splitter_of
    from components.data.source import list_files

    config = spec.data.ingest
    files = list_files(data_path, config.format, spec.data.selection)
    drawn = _Drawn(rows, sorted(spec.data.features))
    with TemporaryDirectory(prefix="sluice") as work:
        table, _ = open_table(config, files, Path(work))
        splitter, start, looked, complete = splitter_of(config, table), 0, 0, True
        for batch in table.batches():
            if looked > LOOK_AT_MOST:
                complete = False
                break
            records = table.records(batch)
            training = splitter(records.to_pylist(), functools.partial(table.typed, batch), start)
            drawn.add(records, training, start)
            start, looked = start + len(records), looked + records.nbytes
    parts = dict(zip(SPLITS, drawn.splits(), strict=True))
    splits, numbers = ({split: part[place] for split, part in parts.items()} for place in (0, 1))
    return Sample(splits, numbers, start, complete)


class _Drawn:
    """Keeps the rows whose key is small; the bound falls by half whenever there are too many."""

    def __init__(self, limit: int, features: Sequence[str]) -> None:
        self.limit, self.features = limit, features
        self.bound = np.uint64(np.iinfo(np.uint64).max)
        self.parts: list[tuple[Any, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, records: pa.BinaryArray, training: np.ndarray, start: int) -> None:
        numbers = np.arange(start, start + len(records)) + 1
        self.parts.append(self._small((records, training, numbers, self._keys(records))))
        while self._rows() > self.limit and self.bound:
            self.bound //= np.uint64(2)
            self.parts = [self._small(part) for part in self.parts]

    def splits(self) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
        """Yield the rows for training with their numbers, then the others."""
        import pyarrow as pa

        from components.engine.examples import decode_examples

        records = pa.chunked_array([part[0] for part in self.parts], pa.binary()).combine_chunks()
        training = np.concatenate([part[1] for part in self.parts]) if self.parts else np.zeros(0, bool)
        numbers = np.concatenate([part[2] for part in self.parts]) if self.parts else np.zeros(0, int)
        table = decode_examples(records)
        for chosen in (training, ~training):
            yield table.filter(pa.array(chosen)), numbers[chosen]

    def _rows(self) -> int:
        return sum(len(part[0]) for part in self.parts)

    def _keys(self, records: pa.BinaryArray) -> np.ndarray:
        from components.cleaning.columns import row_keys
        from components.engine.examples import decode_examples

        keys = row_keys(decode_examples(records, self.features)).to_pylist()
        digests = b"".join(hashlib.blake2b(key, digest_size=8).digest() for key in keys)
        return np.frombuffer(digests, np.uint64)

    def _small(
        self, part: tuple[Any, np.ndarray, np.ndarray, np.ndarray]
    ) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
        import pyarrow as pa

        records, training, numbers, keys = part
        mask = keys <= self.bound
        return records.filter(pa.array(mask)), training[mask], numbers[mask], keys[mask]


def clean(spec: PipelineSpec, sample: Sample) -> tuple[dict[str, Cleaned], dict[int, Learned]]:
    """Run the cleaning steps on the sample, train first, as the component Cleaner does.

    Returns:
        Each split, and what each step that learns has learned, by its position.

    Raises:
        ComponentError: a column is of a kind that a step cannot look at, or no row of a split is left.
    """
    import pyarrow as pa

    from components.cleaning.arrow_engine import ArrowCleaner
    from components.cleaning.filtering import Batch, Dropped, check_learned, check_split

    cleaner = ArrowCleaner(spec.cleaning.steps)
    cleaner.learn_from(lambda: iter([Batch(_numbers(sample.splits["train"]), sample.splits["train"])]))
    found, dropped = {}, {split: Dropped(len(cleaner.steps)) for split in sample.splits}
    for split, rows in sample.splits.items():
        batch = Batch(_numbers(rows), rows)
        dropped_by = np.full(rows.num_rows, -1)
        for position in range(len(cleaner.steps)):
            before = np.asarray(batch.records)
            batch = cleaner.apply(position, batch, split)
            dropped_by[np.setdiff1d(before, np.asarray(batch.records))] = position
        numbers = np.asarray(batch.records)
        steps = np.bincount(dropped_by[dropped_by >= 0], minlength=len(cleaner.steps)).tolist()
        dropped[split] = Dropped(len(cleaner.steps), rows.num_rows, steps)
        found[split] = Cleaned(rows.take(pa.array(numbers)), numbers, dropped_by)
    check_learned(cleaner.steps, cleaner.learned)
    for split, counts in dropped.items():
        check_split(cleaner.steps, split, counts)
    return found, cleaner.learned


def _numbers(rows: pa.RecordBatch) -> pa.Array:
    import pyarrow as pa

    return pa.array(np.arange(rows.num_rows), pa.int64())
