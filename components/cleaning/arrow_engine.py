"""Cleaning in this process: splits are read, filtered and written batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from components.cleaning.filtering import Batch, Dropped, apply_learned, apply_step, group_keys, summarize
from components.cleaning.step import TRAIN, CleaningStep, GroupStep, Learned, LearningStep, add_up
from components.engine.examples import ExampleWriter, read_records, split_directory


class ArrowCleaner:
    """Cleans the splits one after the other, train first; group steps remember what they saw.

    Args:
        steps: the steps in order.
        learned: position of a learning step to what it learned already.
    """

    def __init__(self, steps: Sequence[CleaningStep], learned: dict[int, Learned] | None = None) -> None:
        self.steps = tuple(steps)
        self.learned = dict(learned or {})
        # 16 bytes per group instead of the whole row; two groups share them with probability 2**-64 at 2**32 rows.
        self._seen: dict[int, set[bytes]] = {i: set() for i, step in enumerate(steps) if isinstance(step, GroupStep)}

    def learn(self, examples_uri: str) -> None:
        """Learn from the train split; it is read once for each step that learns."""
        folder = split_directory(examples_uri, TRAIN)
        self.learn_from(lambda: (Batch.numbered(records, self.steps) for records in read_records(folder)))

    def learn_from(self, train: Callable[[], Iterator[Batch]]) -> None:
        """Learn from batches of the train split; each call of `train` begins again with the first."""
        for position, step in enumerate(self.steps):
            if isinstance(step, LearningStep):
                before = ArrowCleaner(self.steps[:position], self.learned)
                reached = (before.apply_all(batch, TRAIN) for batch in train())
                summary = add_up(summarize(step, position, batch) for batch in reached)
                self.learned[position] = step.learn(summary)

    def clean(self, examples_uri: str, output_uri: str, split: str) -> Dropped:
        """Write the rows of a split that stay; the bytes of each stay as they were."""
        dropped = Dropped(len(self.steps))
        with ExampleWriter(split_directory(output_uri, split)) as writer:
            for records in read_records(split_directory(examples_uri, split)):
                dropped.rows_in += len(records)
                batch = Batch.numbered(records, self.steps)
                for position in range(len(self.steps)):
                    before = len(batch)
                    batch = self.apply(position, batch, split)
                    dropped.by_step[position] += before - len(batch)
                writer.write(records if len(batch) == len(records) else records.take(batch.records))
        return dropped

    def apply_all(self, batch: Batch, split: str) -> Batch:
        """Return the rows that all steps keep."""
        for position in range(len(self.steps)):
            batch = self.apply(position, batch, split)
        return batch

    def apply(self, position: int, batch: Batch, split: str) -> Batch:
        """Return the rows of a batch of a split that one step keeps."""
        step = self.steps[position]
        if isinstance(step, LearningStep):
            return apply_learned(step, self.learned[position], batch) if split == TRAIN else batch
        if not isinstance(step, GroupStep):
            return apply_step(step, position, batch)
        seen = self._seen[position]
        before, first = len(seen), []
        for digest in digests(group_keys(step, position, batch).to_pylist()):
            seen.add(digest)
            first.append(len(seen))
        return batch.filter(pa.array(np.diff(first, prepend=before) > 0))


def digests(keys: Sequence[bytes]) -> list[bytes]:
    """Return 16 bytes for each key."""
    return [hashlib.blake2b(key, digest_size=16).digest() for key in keys]
