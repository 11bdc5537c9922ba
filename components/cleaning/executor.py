"""What runs in the step Cleaner."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from tfx import types
from tfx.types import artifact_utils

from components import catalog
from components.cleaning.arrow_engine import ArrowCleaner
from components.cleaning.beam_engine import BeamCleaner
from components.cleaning.config import CleaningConfig
from components.cleaning.filtering import Dropped, check_kinds, check_learned, check_split, describe
from components.cleaning.step import CleaningStep, Learned
from components.engine import progress
from components.engine.beam_executor import BeamExecutor
from components.engine.choice import bytes_in_folder, choose_engine
from components.engine.config import EngineConfig
from components.engine.examples import decode_examples, read_records, split_directory
from components.engine.linking import link_folder
from components.errors import ComponentError

COPIED_PROPERTIES = ("payload_format", "file_format", "fingerprint", "input_fingerprint")


class Executor(BeamExecutor):
    """Cleans the splits of an Examples artifact; the bytes of each surviving record stay as they were."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        config = CleaningConfig.model_validate(json.loads(exec_properties["config"])["cleaning"])
        runtime = json.loads(exec_properties["runtime"])
        examples = artifact_utils.get_single_instance(input_dict["raw_examples"])
        cleaned = artifact_utils.get_single_instance(output_dict["examples"])
        splits = artifact_utils.decode_split_names(examples.split_names)
        _copy_properties(examples, cleaned)
        if not config.steps:
            _link_splits(examples.uri, cleaned.uri, splits)
            return
        check_columns(config.steps, examples.uri, splits)
        dropped, learned = self._clean(config.steps, examples.uri, cleaned.uri, splits, runtime)
        check_learned(config.steps, learned)
        for split in splits:
            check_split(config.steps, split, dropped[split])
        _write_summary(cleaned.uri, config.steps, dropped, learned)

    def _clean(
        self, steps: Sequence[CleaningStep], examples_uri: str, output_uri: str, splits: list[str], runtime: Any
    ) -> tuple[dict[str, Dropped], dict[int, Learned]]:
        engine = EngineConfig.model_validate(runtime.get("engine", {}))
        size = max(bytes_in_folder(split_directory(examples_uri, split)) for split in splits)
        if choose_engine(engine, size) == "arrow":
            cleaner, dropped = ArrowCleaner(steps), {}
            cleaner.learn(examples_uri)
            for split in splits:
                progress.report(runtime, "Cleaner", f"cleaning {split}")
                dropped[split] = cleaner.clean(examples_uri, output_uri, split)
            return dropped, cleaner.learned
        progress.report(runtime, "Cleaner", "cleaning on Beam")
        with tempfile.TemporaryDirectory(dir=output_uri, prefix=".counts") as temporary:
            arguments = self._beam_pipeline_args or list(engine.beam_pipeline_args)
            beam_cleaner = BeamCleaner(steps, lambda: beam.Pipeline(argv=arguments))
            counted = beam_cleaner.clean(examples_uri, output_uri, splits, temporary)
            return counted, beam_cleaner.learned


def check_columns(steps: Sequence[CleaningStep], examples_uri: str, splits: Sequence[str]) -> None:
    """Raise a ComponentError when a step names a column that no record has, or one of a kind it cannot look at.

    The first records tell, nearly always; only a column that they lack is looked for in all of them. Beam would wrap
    the same error, raised in a worker, into one of its own.
    """
    wanted = {name: position for position, step in reversed(list(enumerate(steps))) for name in step.needed_columns()}
    known: set[str] = set()
    for split in splits:
        for records in read_records(split_directory(examples_uri, split)):
            if set(wanted) <= known:
                return
            columns = decode_examples(records)
            known.update(columns.schema.names)
            for position, step in enumerate(steps):
                if set(step.needed_columns()) <= set(columns.schema.names):
                    check_kinds(step, position, columns)
    missing = sorted(set(wanted) - known)
    if not missing or not known:
        return
    guesses = {name: catalog.nearest(name, sorted(known)) for name in missing}
    hints = "; ".join(f"{name!r}: did you mean {guess!r}?" for name, guess in guesses.items() if guess)
    raise ComponentError(
        f"cleaning names {', '.join(map(repr, missing))}, which the data do not have; they have "
        f"{', '.join(sorted(known))}.",
        spec_path=f"cleaning[{wanted[missing[0]]}]",
        remedy=hints or "Name one of these columns, or take the step out.",
    )


def _copy_properties(source: types.Artifact, target: types.Artifact) -> None:
    target.split_names = source.split_names
    target.span = source.span
    target.version = source.version
    for name in COPIED_PROPERTIES:
        if source.has_custom_property(name):
            target.mlmd_artifact.custom_properties[name].CopyFrom(source.mlmd_artifact.custom_properties[name])


def _link_splits(examples_uri: str, output_uri: str, splits: Sequence[str]) -> None:
    """Give the output the same files."""
    for split in splits:
        link_folder(split_directory(examples_uri, split), split_directory(output_uri, split))
    summary = Path(examples_uri, "summary.json")
    counts = json.loads(summary.read_text()).get("splits") if summary.exists() else None
    counts = counts or {split: _count(examples_uri, split) for split in splits}
    _write_summary(output_uri, (), {split: Dropped(0, rows_in=counts[split]) for split in splits}, {})


def _count(examples_uri: str, split: str) -> int:
    return sum(len(records) for records in read_records(split_directory(examples_uri, split)))


def _write_summary(
    uri: str, steps: Sequence[CleaningStep], dropped: dict[str, Dropped], learned: dict[int, Learned]
) -> None:
    summary = {
        "rows_in": {split: counts.rows_in for split, counts in dropped.items()},
        "rows_out": {split: counts.rows_out for split, counts in dropped.items()},
        "steps": [
            {
                "step": describe(step),
                "dropped": {split: counts.by_step[position] for split, counts in dropped.items()},
                **({"kept_between": learned[position]} if position in learned else {}),
            }
            for position, step in enumerate(steps)
        ],
    }
    Path(uri, "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
