"""Cleaning in this process: splits are read, filtered and written batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from components.cleaning.filtering import Batch, Dropped, apply_step, group_keys
from components.cleaning.step import CleaningStep, GroupStep
from components.engine.examples import ExampleWriter, read_records, split_directory


class ArrowCleaner:
    """Cleans the splits one after the other, train first; group steps remember what they saw.

    Args:
        steps: the steps in order.
    """

    def __init__(self, steps: Sequence[CleaningStep]) -> None:
        self.steps = tuple(steps)
        # 16 bytes per group instead of the whole row; two groups share them with probability 2**-64 at 2**32 rows.
        self._seen: dict[int, set[bytes]] = {i: set() for i, step in enumerate(steps) if isinstance(step, GroupStep)}

    def clean(self, examples_uri: str, output_uri: str, split: str) -> Dropped:
        """Write the rows of a split that stay; the bytes of each stay as they were."""
        dropped = Dropped(len(self.steps))
        with ExampleWriter(split_directory(output_uri, split)) as writer:
            for records in read_records(split_directory(examples_uri, split)):
                dropped.rows_in += len(records)
                batch = Batch.of(records, self.steps)
                for position, step in enumerate(self.steps):
                    before = len(batch)
                    batch = self._apply(position, step, batch)
                    dropped.by_step[position] += before - len(batch)
                writer.write(batch.records)
        return dropped

    def _apply(self, position: int, step: CleaningStep, batch: Batch) -> Batch:
        if not isinstance(step, GroupStep):
            return apply_step(step, position, batch)
        import pyarrow as pa

        seen, mask = self._seen[position], []
        for digest in digests(group_keys(step, position, batch).to_pylist()):
            mask.append(digest not in seen)
            seen.add(digest)
        return batch.filter(pa.array(mask, pa.bool_()))


def digests(keys: Sequence[bytes]) -> list[bytes]:
    """Return 16 bytes for each key."""
    return [hashlib.blake2b(key, digest_size=16).digest() for key in keys]
