"""Cleaning as a Beam pipeline, for data that do not fit into memory: the same leaf functions, called from DoFns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa

from components.cleaning.arrow_engine import digests
from components.cleaning.filtering import Batch, Dropped, apply_learned, apply_step, group_keys, summarize
from components.cleaning.step import TRAIN, CleaningStep, GroupStep, Learned, LearningStep, Summary, add_up
from components.engine.examples import read_records, split_directory

Row = tuple[int, int, bytes]
"""Index of the split, position in it, serialized record: rows sort in the order train, eval, position."""

COUNTS = "counts"
LEARNED = "learned"
ROWS_IN = -1
"""Stands for the position of a step where rows that came in are counted."""


class ReadSplit(beam.DoFn):
    """Reads one split: `(index, folder)` → rows."""

    def process(self, split: tuple[int, str]) -> Iterator[Row]:
        index, folder = split
        position = 0
        for records in read_records(folder):
            for record in records.to_pylist():
                yield index, position, record
                position += 1


class FilterRows(beam.DoFn):
    """Applies row filters to a list of rows: what stays, and under the tag `counts` what came into each step.

    Args:
        steps: the filters, all of them `CleaningStep`s that look at one row.
        first: position of the first of them in the spec.
    """

    def __init__(self, steps: Sequence[CleaningStep], first: int) -> None:
        self._steps = tuple(steps)
        self._first = first

    def process(self, rows: list[Row]) -> Iterator[Any]:
        for split in sorted({row[0] for row in rows}):
            mine = [row for row in rows if row[0] == split]
            batch = Batch.numbered(pa.array([row[2] for row in mine], pa.binary()), self._steps)
            for position, step in enumerate(self._steps, self._first):
                before = len(batch)
                batch = apply_step(step, position, batch)
                yield beam.pvalue.TaggedOutput(COUNTS, ((split, position), before - len(batch)))
            yield from (mine[number] for number in batch.records.to_pylist())


class KeyRows(beam.DoFn):
    """Puts the group before each row: list of rows → `(digest, row)`."""

    def __init__(self, step: GroupStep, position: int) -> None:
        self._step = step
        self._position = position

    def process(self, rows: list[Row]) -> Iterator[tuple[bytes, Row]]:
        batch = Batch.of(pa.array([row[2] for row in rows], pa.binary()), [self._step])
        keys = group_keys(self._step, self._position, batch)
        yield from zip(digests(keys.to_pylist()), rows, strict=True)


class SummarizeRows(beam.DoFn):
    """Summarizes the rows for training of a list of rows."""

    def __init__(self, step: LearningStep, position: int, train: int) -> None:
        self._step = step
        self._position = position
        self._train = train

    def process(self, rows: list[Row]) -> Iterator[Summary]:
        mine = pa.array([row[2] for row in rows if row[0] == self._train], pa.binary())
        if len(mine):
            yield summarize(self._step, self._position, Batch.of(mine, [self._step]))


class FilterTrainRows(beam.DoFn):
    """Drops rows for training by what a step learned: list of rows → rows."""

    def __init__(self, step: LearningStep, train: int) -> None:
        self._step = step
        self._train = train

    def process(self, rows: list[Row], learned: Learned) -> Iterator[Row]:
        yield from (row for row in rows if row[0] != self._train)
        mine = [row for row in rows if row[0] == self._train]
        batch = Batch.numbered(pa.array([row[2] for row in mine], pa.binary()), [self._step])
        yield from (mine[number] for number in apply_learned(self._step, learned, batch).records.to_pylist())


def first_row(rows: Iterable[Row]) -> Row:
    """Return the row that comes first in the data, whatever order Beam hands them over in."""
    return min(rows)


class BeamCleaner:
    """Cleans all splits in one Beam pipeline.

    Args:
        steps: the steps in order.
        make_pipeline: returns a new Beam pipeline.
    """

    BATCH = 4096

    def __init__(self, steps: Sequence[CleaningStep], make_pipeline: Callable[[], beam.Pipeline]) -> None:
        self.steps = tuple(steps)
        self._make_pipeline = make_pipeline
        self.learned: dict[int, Learned] = {}

    def clean(self, examples_uri: str, output_uri: str, splits: Sequence[str], temporary: str) -> dict[str, Dropped]:
        """Write the rows that stay and return what was dropped, by split.

        Args:
            examples_uri: folder to read, with one subfolder per split.
            output_uri: folder to write, the same.
            splits: names of the splits in the order in which a duplicate counts as the first.
            temporary: folder for the counts; workers must reach it.
        """
        with self._make_pipeline() as pipeline:
            rows = (
                pipeline
                | "Splits" >> beam.Create([(i, split_directory(examples_uri, name)) for i, name in enumerate(splits)])
                | "Read" >> beam.ParDo(ReadSplit())
                | "SpreadOverWorkers" >> beam.Reshuffle()
            )
            counts = [rows | "CountIn" >> beam.Map(_count, ROWS_IN, 1)]
            rows = self._add_steps(rows, counts, list(splits).index(TRAIN), temporary)
            for index, name in enumerate(splits):
                self._write(rows, index, split_directory(output_uri, name))
            _ = (
                counts
                | "Counts" >> beam.Flatten()
                | "Sum" >> beam.CombinePerKey(sum)
                | "Json" >> beam.Map(json.dumps)
                | "WriteCounts" >> beam.io.WriteToText(f"{temporary}/counts", num_shards=1)
            )
        self._read_learned(temporary)
        return self._read_counts(splits, temporary)

    def _add_steps(self, rows: Any, counts: list[Any], train: int, temporary: str) -> Any:
        position = 0
        while position < len(self.steps):
            batches = rows | f"Batch{position}" >> beam.BatchElements(min_batch_size=64, max_batch_size=self.BATCH)
            step = self.steps[position]
            if isinstance(step, GroupStep | LearningStep):
                if isinstance(step, GroupStep):
                    kept = self._first_of_each(step, position, batches)
                else:
                    kept = self._inside_what_was_learned(step, position, batches, (train, temporary))
                counts.append(rows | f"Before{position}" >> beam.Map(_count, position, 1))
                counts.append(kept | f"After{position}" >> beam.Map(_count, position, -1))
                rows, position = kept, position + 1
                continue
            run = self._run_of_filters(position)
            out = batches | f"Filter{position}" >> beam.ParDo(FilterRows(run, position)).with_outputs(
                COUNTS, main="rows"
            )
            counts.append(out[COUNTS])
            rows, position = out["rows"], position + len(run)
        return rows

    @staticmethod
    def _first_of_each(step: GroupStep, position: int, batches: Any) -> Any:
        groups = batches | f"Key{position}" >> beam.ParDo(KeyRows(step, position))
        return groups | f"First{position}" >> beam.CombinePerKey(first_row) | f"Row{position}" >> beam.Values()

    @staticmethod
    def _inside_what_was_learned(step: LearningStep, position: int, batches: Any, place: tuple[int, str]) -> Any:
        train, temporary = place
        learned = (
            batches
            | f"Summarize{position}" >> beam.ParDo(SummarizeRows(step, position, train))
            | f"AddUp{position}" >> beam.CombineGlobally(add_up)
            | f"Learn{position}" >> beam.Map(step.learn)
        )
        _ = (
            learned
            | f"LearnedJson{position}" >> beam.Map(json.dumps)
            | f"WriteLearned{position}" >> beam.io.WriteToText(f"{temporary}/{LEARNED}-{position}-", num_shards=1)
        )
        side = beam.pvalue.AsSingleton(learned)
        return batches | f"Inside{position}" >> beam.ParDo(FilterTrainRows(step, train), side)

    def _run_of_filters(self, start: int) -> list[CleaningStep]:
        run: list[CleaningStep] = []
        for step in self.steps[start:]:
            if isinstance(step, GroupStep | LearningStep):
                break
            run.append(step)
        return run

    @staticmethod
    def _write(rows: Any, split: int, folder: str) -> None:
        _ = (
            rows
            | f"Split{split}" >> beam.Filter(lambda row: row[0] == split)
            | f"Record{split}" >> beam.Map(lambda row: row[2])
            | f"Write{split}" >> beam.io.WriteToTFRecord(f"{folder}/data_tfrecord", file_name_suffix=".gz")
        )

    def _read_learned(self, temporary: str) -> None:
        for file in Path(temporary).glob(f"{LEARNED}-*"):
            limits = json.loads(file.read_text())
            learned = {name: (smallest, largest) for name, (smallest, largest) in limits.items()}
            self.learned[int(file.name.split("-")[1])] = learned

    def _read_counts(self, splits: Sequence[str], temporary: str) -> dict[str, Dropped]:
        dropped = {name: Dropped(len(self.steps)) for name in splits}
        for file in Path(temporary).glob("counts*"):
            for line in file.read_text().splitlines():
                (split, position), count = json.loads(line)
                if position == ROWS_IN:
                    dropped[splits[split]].rows_in = count
                else:
                    dropped[splits[split]].by_step[position] = count
        return dropped


def _count(row: Row, position: int, number: int) -> tuple[tuple[int, int], int]:
    return (row[0], position), number
