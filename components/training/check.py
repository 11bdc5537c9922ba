"""What can be known about model and training before the first component runs, now that Keras may be loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components import catalog
from components.errors import ComponentError, Problem
from components.features import ModelInput, Task
from components.model.build import build_model, two_rows
from components.model.config import ModelConfig
from components.model.custom import check_source, load_builder
from components.model.loading_again import check_loads, refuse_own_steps
from components.training.callback_config import BestConfig
from components.training.combinations import SEVERAL_COPIES
from components.training.config import TrainingConfig
from components.training.distribution import tpu_is_here
from components.training.objective import monitored_names
from components.training.optimizer import check_optimizer
from components.training.own_loop import OwnStep
from components.training.user_callbacks import UserCallbacks
from components.transform.config import GUESSED_SIZE

MISTAKES = (NameError, AttributeError, ImportError, TypeError, NotImplementedError)
"""Errors of a builder that no other data would cure; what else it raises may come from sizes that were guessed."""


def check_before_run(
    config: Mapping[str, Any], base_dir: str | None = None, inputs: Sequence[ModelInput] = ()
) -> list[Problem]:
    """Return what would stop the Trainer after minutes of other work.

    It makes the optimizer, runs the user's module, and builds the model once from inputs of about the right kind.

    Args:
        config: the Trainer node's config.
        base_dir: folder of the spec, for imports of the user's module.
        inputs: what the model will about receive; without them no model is built.
    """
    training = TrainingConfig.model_validate(config["training"])
    problems = [*check_optimizer(training), *_check_devices(training), *_check_monitors(training, config["task"])]
    own = [*_check_callbacks(training, config, base_dir), *_check_loop(training, config, base_dir)]
    return [*problems, *own, *_check_custom(config, base_dir, inputs)]


def _check_monitors(training: TrainingConfig, task: Task) -> Iterator[Problem]:
    """Yield names that the history does not have."""
    known = list(monitored_names(task))
    reducing, early = training.reduce_learning_rate, training.early_stopping
    watched = {
        "early_stopping.monitor": None if early is None else early.monitor,
        "reduce_learning_rate.monitor": None if reducing is None else reducing.monitor,
        "keep.best": training.keep.best if isinstance(training.keep, BestConfig) else None,
    }
    for option, name in watched.items():
        if name is not None and name not in known:
            guess = catalog.nearest(name, known)
            remedy = f"Did you mean {guess!r}?" if guess else "Watch val_loss."
            yield Problem(f"training.{option}", repr(name), f"one of {', '.join(known)}", remedy)


def _check_callbacks(training: TrainingConfig, config: Mapping[str, Any], base_dir: str | None) -> list[Problem]:
    """Return what is wrong with the user's callbacks; they are made once."""
    if training.callbacks is None:
        return []
    try:
        UserCallbacks(training.callbacks, config.get("callbacks_source") or "", base_dir)
    except ComponentError as error:
        return [_problem(error, "a function that makes Keras callbacks", training.callbacks.module)]
    return []


def _check_loop(training: TrainingConfig, config: Mapping[str, Any], base_dir: str | None) -> list[Problem]:
    """Return what is wrong with the user's training step; its file is run once."""
    try:
        OwnStep.of(training, config, base_dir)
    except ComponentError as error:
        file = "" if training.loop is None else training.loop.module
        return [_problem(error, "a function that makes a training step", file)]
    return []


def _check_devices(training: TrainingConfig) -> list[Problem]:
    """Return that there is no TPU where one is asked for; without one the Trainer would find out after minutes."""
    if training.strategy != "tpu" or tpu_is_here():
        return []
    remedy = "Run it on Kubeflow with a TPU pool in resources.trainer, or set training.strategy to auto."
    return [Problem("training.strategy", "tpu on a machine without a TPU", "a TPU", remedy)]


def _check_custom(config: Mapping[str, Any], base_dir: str | None, inputs: Sequence[ModelInput]) -> list[Problem]:
    training = TrainingConfig.model_validate(config["training"])
    model = ModelConfig.model_validate(config["model"])
    custom = model.custom
    if custom is None:
        return []
    source = config.get("module_source") or ""
    problems = check_source(source, custom.builder, custom.parameters, custom.module)
    if problems:
        return problems
    try:
        load_builder(source, custom.builder, custom.module, base_dir)
    except ComponentError as error:
        return [_problem(error, "a module that can be imported", custom.module)]
    if inputs:
        classes = {"regression": 1, "binary_classification": 2}.get(config["task"], GUESSED_SIZE)
        try:
            made = build_model(model, inputs, config["task"], classes, module_source=source, base_dir=base_dir)
            check_loads(made, two_rows(inputs), custom.module)
            if training.loop is not None or training.strategy in SEVERAL_COPIES:
                refuse_own_steps(made, own_loop=training.loop is not None)
        except ComponentError as error:
            # without a cause, it is the kind or the shape of what the builder returned
            if error.__cause__ is None or isinstance(error.__cause__, MISTAKES):
                return [_problem(error, "a builder that makes a Keras model", custom.module)]
    return []


def _problem(error: ComponentError, expected: str, file: str) -> Problem:
    return Problem(error.spec_path or "model.module", error.message, expected, error.remedy, file)
