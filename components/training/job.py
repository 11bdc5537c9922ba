"""What a training is given: the Trainer's part of the spec and its artifacts, for it and for its workers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.balancing.class_counts import ClassCounts
from components.errors import ComponentError


@dataclass(frozen=True)
class Job:
    """The Trainer's part of the spec and its artifacts, parsed once.

    Args:
        config: the node's config: `model`, `module_source`, `training`, `columns`, `task`.
        runtime: where and how it runs.
        train_folder, eval_folder: transformed examples.
        transform_graph: folder of the TransformGraph artifact.
        model_folder: the Model artifact.
        serving_folder: where in it the SavedModel goes.
        run_folder: the ModelRun artifact.
        raw_folder: raw examples of the eval split, for the sample.
        checkpoints: where checkpoints go; None derives it from the pipeline's root.
        class_counts: what the Balancer says of the train split; None without one.
    """

    config: dict[str, Any]
    runtime: dict[str, Any]
    train_folder: str
    eval_folder: str
    transform_graph: str
    model_folder: Path
    serving_folder: Path
    run_folder: Path
    raw_folder: str
    checkpoints: Path | None = None
    class_counts: dict[str, Any] | None = None

    @classmethod
    def of(cls, fn_args: Any) -> Job:
        """Return the job in TFX's `FnArgs`."""
        given = fn_args.custom_config
        serving = Path(fn_args.serving_model_dir)
        train = _folder(fn_args.train_files)
        return cls(
            _tuned(json.loads(given["config"]), fn_args.hyperparameters),
            json.loads(given["runtime"]),
            train,
            _folder(fn_args.eval_files),
            fn_args.transform_graph_path,
            serving.parent,
            serving,
            Path(fn_args.model_run_dir),
            given["raw_folder"],
            class_counts=ClassCounts.read(Path(train).parent),
        )

    @property
    def checkpoint_folder(self) -> Path | None:
        """Where a training that is cut off leaves what it has; keyed, so that only the same training finds it."""
        if self.checkpoints is not None:
            return self.checkpoints
        key = self.runtime.get("trainer_key")
        return Path(self.runtime["root"], "checkpoints", key) if key else None


def _tuned(config: dict[str, Any], found: dict[str, Any] | None) -> dict[str, Any]:
    """Return the config with the sections that the Tuner found best; epochs stay those of the spec."""
    if not found:
        return config
    sections = {name: content for name, content in found["sections"].items() if name in config}
    training = {**sections["training"], "epochs": config["training"]["epochs"]}
    return {**config, **sections, "training": training, "tuned": found["values"]}


def _folder(patterns: list[str]) -> str:
    folders = {str(Path(pattern).parent) for pattern in patterns}
    if len(folders) != 1:
        raise ComponentError(f"One folder per split was expected, got {', '.join(sorted(folders))}.")
    return folders.pop()
