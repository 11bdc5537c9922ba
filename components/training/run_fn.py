"""What TFX's Trainer calls: read the splits, fit, export, write down how it went."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from components.engine.progress import report
from components.errors import ComponentError
from components.features import Task
from components.model.config import ModelConfig
from components.training.config import TrainingConfig

if TYPE_CHECKING:
    from components.training.fit import Places

MODEL_FILE = "model.keras"
SAMPLE_FILE = "sample.json"
HISTORY_FILE = "history.json"
LOG_FOLDER = "tensorboard"


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

    @classmethod
    def of(cls, fn_args: Any) -> Job:
        """Return the job in TFX's `FnArgs`."""
        given = fn_args.custom_config
        serving = Path(fn_args.serving_model_dir)
        return cls(
            json.loads(given["config"]),
            json.loads(given["runtime"]),
            _folder(fn_args.train_files),
            _folder(fn_args.eval_files),
            fn_args.transform_graph_path,
            serving.parent,
            serving,
            Path(fn_args.model_run_dir),
            given["raw_folder"],
        )

    @property
    def checkpoint_folder(self) -> Path | None:
        """Where a training that is cut off leaves what it has; keyed, so that only the same training finds it."""
        if self.checkpoints is not None:
            return self.checkpoints
        key = self.runtime.get("trainer_key")
        return Path(self.runtime["root"], "checkpoints", key) if key else None


def _folder(patterns: list[str]) -> str:
    folders = {str(Path(pattern).parent) for pattern in patterns}
    if len(folders) != 1:
        raise ComponentError(f"One folder per split was expected, got {', '.join(sorted(folders))}.")
    return folders.pop()


def run_fn(fn_args: Any) -> None:
    """Fit and export, here or in several workers; called by TFX with its `FnArgs`."""
    job = Job.of(fn_args)
    if job.config["training"]["strategy"] == "multi_worker":
        from components.training.launch import launch

        launch(job)
    else:
        run_job(job)


def run_job(job: Job, distribution: Any = None, keep: Callable[[Path], None] | None = None) -> None:
    """Fit the model, export it, and write history, summary and sample.

    Args:
        job: what to do.
        distribution: the other workers, when this is one of several; only their chief exports and writes.
        keep: called with the folder of checkpoints after each one.

    Raises:
        ComponentError: the data, the model or the training cannot be used; says where in the spec.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ComponentError(
            f"Keras runs on {keras.backend.backend()}; the served model needs TensorFlow.",
            remedy="Unset KERAS_BACKEND, or set it to tensorflow.",
        )
    keras.backend.clear_session()
    from components.training.fit import fit
    from components.training.input_fn import open_split
    from components.training.remote_checkpoint import RemoteCheckpoint
    from components.transform.outputs import label_vocabulary, model_inputs, num_classes

    config = TrainingConfig.model_validate(job.config["training"])
    task = cast(Task, job.config["task"])
    inputs = model_inputs(job.transform_graph)
    classes = num_classes(job.transform_graph, task)
    weighted = bool(job.config["columns"].get("weight"))
    remote = RemoteCheckpoint.of(job) if distribution is None or distribution.is_chief else None
    if remote is not None and job.checkpoint_folder is not None:
        remote.fetch(job.checkpoint_folder)
        keep = keep or remote.keep
    report(job.runtime, "Trainer", "reading the transformed examples")
    train, evaluation = (
        open_split(folder, inputs, task, classes, weighted=weighted, cache=config.cache)
        for folder in (job.train_folder, job.eval_folder)
    )
    result = fit(
        lambda: _build(job, inputs, classes),
        config,
        task,
        train,
        evaluation,
        _places(job, config, distribution, keep),
    )
    if distribution is not None and not distribution.is_chief:
        return
    report(job.runtime, "Trainer", "exporting the model")
    vocabulary = label_vocabulary(job.transform_graph)
    _export(job, result.model, tuple(each.name for each in inputs), task, vocabulary)
    _write_facts(job, result, {"train": train, "eval": evaluation})
    if job.checkpoint_folder is not None:
        shutil.rmtree(job.checkpoint_folder, ignore_errors=True)
    if remote is not None:
        remote.clear()


def _places(job: Job, config: TrainingConfig, distribution: Any, keep: Callable[[Path], None] | None) -> Places:
    from components.training.fit import Places

    if distribution is not None and not distribution.is_chief:
        return Places({}, job.checkpoint_folder, distribution=distribution)
    logs = job.run_folder / LOG_FOLDER if config.tensorboard else None
    return Places(job.runtime, job.checkpoint_folder, logs, keep, distribution)


def _build(job: Job, inputs: Any, classes: int) -> Any:
    from components.model.build import build_model

    return build_model(
        ModelConfig.model_validate(job.config["model"]),
        inputs,
        cast(Task, job.config["task"]),
        classes,
        module_source=job.config.get("module_source"),
        base_dir=job.runtime.get("base_dir"),
    )


def _export(job: Job, model: Any, inputs: tuple[str, ...], task: Task, vocabulary: list[str] | None) -> None:
    from components.expression import Expression
    from components.training.export import Predictor, Served, save, save_keras
    from components.training.sample import sample_examples, write_sample

    columns = job.config["columns"]
    features = tuple(columns["features"])
    others = {*Expression(columns["label"]["expression"]).columns, *filter(None, [columns.get("weight")])}
    others -= set(features)
    classes = None if vocabulary is None else tuple(vocabulary)
    served = Served(job.transform_graph, features, tuple(sorted(others)), inputs, task, classes)
    predictor = Predictor(model, served)
    save(predictor, str(job.serving_folder))
    save_keras(model, job.model_folder / MODEL_FILE)
    write_sample(predictor, sample_examples(job.raw_folder, features), job.model_folder / SAMPLE_FILE)


def _write_facts(job: Job, result: Any, splits: dict[str, Any]) -> None:
    history = result.history()
    job.run_folder.mkdir(parents=True, exist_ok=True)
    (job.run_folder / HISTORY_FILE).write_text(json.dumps(history, indent=1))
    last = result.epochs[result.best_epoch - 1] if result.epochs else {}
    summary = {
        "rows": {name: split.rows for name, split in splits.items()},
        "in_memory": all(split.columns is not None for split in splits.values()),
        "epochs": len(result.epochs),
        "metrics": {name: value for name, value in last.items() if name not in {"epoch", "seconds"}},
        **{name: value for name, value in history.items() if name != "epochs"},
    }
    (job.model_folder / "summary.json").write_text(json.dumps(summary, indent=1))
