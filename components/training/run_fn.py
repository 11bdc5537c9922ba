"""What TFX's Trainer calls: read the splits, fit, export, write down how it went."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from components.balancing.class_counts import ClassCounts
from components.engine.progress import report
from components.errors import ComponentError
from components.features import Task
from components.model.config import ModelConfig
from components.training.calibration import correction, warnings
from components.training.class_weights import with_class_ids
from components.training.config import TrainingConfig
from components.training.job import Job
from components.training.launch import launch

if TYPE_CHECKING:
    from components.training.calibration import Correction
    from components.training.fit import FitResult
    from components.training.places import Places
    from components.training.user_callbacks import UserCallbacks

MODEL_FILE = "model.keras"
SAMPLE_FILE = "sample.json"
HISTORY_FILE = "history.json"
HISTORY_TABLE = "history.csv"
LOG_FOLDER = "tensorboard"


def run_fn(fn_args: Any) -> None:
    """Fit and export, here or in several workers; called by TFX with its `FnArgs`."""
    job = Job.of(fn_args)
    if job.config["training"]["strategy"] == "multi_worker":
        launch(job)
    else:
        run_job(job)


def run_job(
    job: Job,
    distribution: Any = None,
    keep: Callable[[Path], None] | None = None,
    fitter: Callable[..., FitResult] | None = None,
) -> None:
    """Fit the model, export it, and write history, summary and sample.

    Args:
        job: what to do.
        distribution: the other workers, when this is one of several; only their chief exports and writes.
        keep: called with the folder of checkpoints after each one.
        fitter: called as `fit` is; None is `fit`.

    Raises:
        ComponentError: the data, the model or the training cannot be used; says where in the spec.
    """
    _begin_with_keras()
    from components.training.augmentation import augmenter_of, check_augmentation, prepare_augmentation
    from components.training.fit import fit
    from components.training.input_fn import open_split
    from components.transform.outputs import model_inputs, num_classes, training_inputs

    config = TrainingConfig.model_validate(job.config["training"])
    task = cast(Task, job.config["task"])
    inputs = model_inputs(job.transform_graph)
    classes = num_classes(job.transform_graph, task)
    weighted = bool(job.config["columns"].get("weight"))
    places = _places(job, config, distribution, keep)
    report(job.runtime, "Trainer", "reading the transformed examples")
    train, evaluation = (
        open_split(folder, read, task, classes, weighted=weighted, cache=config.cache)
        for folder, read in ((job.train_folder, training_inputs(job.transform_graph)), (job.eval_folder, inputs))
    )
    train = replace(train, augment=augmenter_of(job, inputs, classes))
    prepare_augmentation(train, job.runtime)
    check_augmentation(train)
    config = with_class_ids(config, train, _class_names(job, classes))
    counts = ClassCounts.of(job.class_counts)
    result = (fitter or fit)(lambda: _build(job, inputs, classes), config, task, train, evaluation, places)
    if distribution is not None and not distribution.is_chief:
        return
    for warning in warnings(config, counts, classes):
        report(job.runtime, "Trainer", warning)
        result.notes.append(warning)
    report(job.runtime, "Trainer", "exporting the model")
    _export(job, result.model, tuple(each.name for each in inputs), correction(config, counts, classes))
    _write_facts(job, result, {"train": train, "eval": evaluation})
    _forget_checkpoint(job)


def _begin_with_keras() -> None:
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ComponentError(
            f"Keras runs on {keras.backend.backend()}; the served model needs TensorFlow.",
            remedy="Unset KERAS_BACKEND, or set it to tensorflow.",
        )
    keras.backend.clear_session()


def _places(job: Job, config: TrainingConfig, distribution: Any, keep: Callable[[Path], None] | None) -> Places:
    from components.training.own_loop import OwnStep
    from components.training.places import Places
    from components.training.remote_checkpoint import RemoteCheckpoint

    step = OwnStep.of(config, job.config, job.runtime.get("base_dir"))
    if distribution is not None and not distribution.is_chief:
        own = _own_callbacks(job, config)
        return Places({}, job.checkpoint_folder, distribution=distribution, own=own, step=step)
    remote = RemoteCheckpoint.of(job)
    if remote is not None and job.checkpoint_folder is not None:
        if distribution is None:  # to several workers their launcher brings it: all must find the same
            remote.fetch(job.checkpoint_folder)
        keep = keep or remote.keep
    logs = job.run_folder / LOG_FOLDER if config.tensorboard else None
    return Places(job.runtime, job.checkpoint_folder, logs, keep, distribution, _own_callbacks(job, config), step)


def _own_callbacks(job: Job, config: TrainingConfig) -> UserCallbacks | None:
    from components.training.user_callbacks import UserCallbacks

    if config.callbacks is None:
        return None
    return UserCallbacks(config.callbacks, job.config.get("callbacks_source") or "", job.runtime.get("base_dir"))


def _forget_checkpoint(job: Job) -> None:
    """Delete it, here and at a remote root: the training is over."""
    from components.training.remote_checkpoint import RemoteCheckpoint

    if job.checkpoint_folder is not None:
        shutil.rmtree(job.checkpoint_folder, ignore_errors=True)
    remote = RemoteCheckpoint.of(job)
    if remote is not None:
        remote.clear()


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


def _class_names(job: Job, classes: int) -> tuple[str, ...]:
    from components.transform.outputs import label_vocabulary

    return tuple(label_vocabulary(job.transform_graph) or map(str, range(classes)))


def _export(job: Job, model: Any, inputs: tuple[str, ...], correction: Correction | None) -> None:
    from components.expression import Expression
    from components.training.export import Predictor, Served, save, save_keras
    from components.training.sample import sample_examples, write_sample
    from components.transform.outputs import label_vocabulary

    columns = job.config["columns"]
    features = tuple(columns["features"])
    others = {*Expression(columns["label"]["expression"]).columns, *filter(None, [columns.get("weight")])}
    others -= set(features)
    vocabulary = label_vocabulary(job.transform_graph)
    classes = None if vocabulary is None else tuple(vocabulary)
    task = cast(Task, job.config["task"])
    served = Served(job.transform_graph, features, tuple(sorted(others)), inputs, task, classes, correction)
    predictor = Predictor(model, served)
    save(predictor, str(job.serving_folder))
    save_keras(model, job.model_folder / MODEL_FILE)
    write_sample(predictor, sample_examples(job.raw_folder, features), job.model_folder / SAMPLE_FILE)


def _write_facts(job: Job, result: Any, splits: dict[str, Any]) -> None:
    history = result.history()
    job.run_folder.mkdir(parents=True, exist_ok=True)
    (job.run_folder / HISTORY_FILE).write_text(json.dumps(history, indent=1))
    _write_table(job.run_folder / HISTORY_TABLE, result.epochs)
    last = result.epochs[result.best_epoch - 1] if result.epochs else {}
    summary = {
        "rows": {name: split.rows for name, split in splits.items()},
        "in_memory": all(split.columns is not None for split in splits.values()),
        "epochs": len(result.epochs),
        **({"tuned": job.config["tuned"]} if "tuned" in job.config else {}),
        "metrics": {name: value for name, value in last.items() if name not in {"epoch", "seconds"}},
        **{name: value for name, value in history.items() if name != "epochs"},
    }
    (job.model_folder / "summary.json").write_text(json.dumps(summary, indent=1))


def _write_table(path: Path, epochs: list[dict[str, Any]]) -> None:
    """Write one row per epoch; those of a run that was cut off are there too, which Keras' CSVLogger would not know."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(dict.fromkeys(name for epoch in epochs for name in epoch)))
        table.writeheader()
        table.writerows(epochs)
