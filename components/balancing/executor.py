"""What runs in the step Balancer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.balancing.class_counts import ClassCounts
from components.balancing.config import BalancingConfig
from components.balancing.rows import Rows
from components.balancing.train_split import open_rows, write_rows
from components.engine import progress
from components.engine.examples import split_directory
from components.engine.linking import link_folder
from components.errors import ComponentError
from components.features import ModelInput
from components.transform.outputs import model_inputs

TRAIN = "train"


class Executor(base_executor.BaseExecutor):
    """Resamples the train split; the others get the very files that came in.

    It runs in this process whatever the data's size: it reads and writes the split as a stream, and holds some 40 bytes
    per row. Besides, the SMOTE steps hold the rows of the rare classes (borderline_smote: all rows) and those that they
    make.
    """

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        config = BalancingConfig.model_validate(json.loads(exec_properties["config"])["balancing"])
        runtime = json.loads(exec_properties["runtime"])
        examples = artifact_utils.get_single_instance(input_dict["transformed_examples"])
        balanced = artifact_utils.get_single_instance(output_dict["examples"])
        inputs = model_inputs(artifact_utils.get_single_uri(input_dict["transform_graph"]))
        balanced.split_names, balanced.span, balanced.version = examples.split_names, examples.span, examples.version
        for split in artifact_utils.decode_split_names(examples.split_names):
            source, target = (split_directory(uri, split) for uri in (examples.uri, balanced.uri))
            if split != TRAIN:
                link_folder(source, target)
                continue
            refuse_inputs(config, inputs)
            rows = open_rows(source, inputs)
            counts = [rows.counts()]
            for at in range(len(config.steps)):
                name = config.steps[at].plugin_name()
                progress.report(runtime, "Balancer", name, done=at, total=len(config.steps))
                rows = balance(config, at, rows)
                counts.append(rows.counts())
            write_rows(rows, source, target)
            ClassCounts(counts[0], counts[-1], config.correct_probabilities).write(balanced.uri)
            _write_summary(balanced.uri, config, counts)


def refuse_inputs(config: BalancingConfig, inputs: Sequence[ModelInput]) -> None:
    """Raise a ComponentError when a step cannot work on the inputs that the transform graph really gives."""
    for at, step in enumerate(config.steps):
        if refusal := step.refuses(inputs):
            received, expected, remedy = refusal
            raise ComponentError(
                f"Got {received}; expected {expected}.", spec_path=f"balancing.steps.{at}", remedy=remedy
            )


def balance(config: BalancingConfig, at: int, rows: Rows) -> Rows:
    """Return the rows after one step; what it draws depends on the seed and its place alone."""
    try:
        return config.steps[at].balance(rows, np.random.default_rng([config.seed, at]))
    except ComponentError as error:
        path = error.spec_path or f"balancing.steps.{at}"
        raise ComponentError(error.message, spec_path=path, remedy=error.remedy) from error


def _write_summary(uri: str, config: BalancingConfig, counts: Sequence[dict[int, int]]) -> None:
    before, after = (" / ".join(f"{count:,}" for count in each.values()) for each in (counts[0], counts[-1]))
    summary = {
        "text": f"rows by class {before} became {after}",
        "rows_in": {TRAIN: sum(counts[0].values())},
        "rows_out": {TRAIN: sum(counts[-1].values())},
        "classes": counts[0],
        "steps": [
            {"step": step.model_dump(mode="json"), "classes": after_it}
            for step, after_it in zip(config.steps, counts[1:], strict=True)
        ],
        "correct_probabilities": config.correct_probabilities,
    }
    Path(uri, "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
