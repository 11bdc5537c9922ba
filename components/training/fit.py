"""Fit a model: compile it, feed it, watch it, and go on where an earlier attempt was cut off."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from components.engine.progress import report
from components.errors import ComponentError
from components.features import Task
from components.model.loading_again import refuse_own_steps
from components.training import objective
from components.training.config import TrainingConfig
from components.training.distribution import Distribution, choose_distribution
from components.training.effective import Effective, check_output, precision
from components.training.fitting import Fitting
from components.training.input_fn import Split
from components.training.learning_rate import without_ours
from components.training.optimizer import make_optimizer
from components.training.places import Places

if TYPE_CHECKING:
    import keras


@dataclass
class FitResult:
    """A fitted model and how it came about.

    Args:
        model: with the weights of the epoch that `training.keep` chooses; it computes in float32.
        epochs: one dictionary per epoch: `epoch`, `loss`, `val_loss`, metrics, `learning_rate`, `seconds`.
        resumed_from_epoch: epochs that an earlier attempt had finished.
        best_epoch: epoch whose weights the model has.
        seconds: duration of this attempt.
        steps_per_second: training steps per second, tracing not counted.
        settings: what options came to: rows of a whole batch, copies of the model, and so on.
        notes: what the user should know.
        resumed_from_step: steps of the epoch after those that it had done.
    """

    model: keras.Model
    epochs: list[dict[str, Any]]
    resumed_from_epoch: int
    best_epoch: int
    seconds: float
    steps_per_second: float
    settings: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    resumed_from_step: int = field(default=0, kw_only=True)

    def history(self) -> dict[str, Any]:
        """Return the content of `history.json`."""
        return {
            "epochs": self.epochs,
            "resumed_from_epoch": self.resumed_from_epoch,
            "resumed_from_step": self.resumed_from_step,
            "best_epoch": self.best_epoch,
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 1),
            "parameters": int(self.model.count_params()),
            "settings": self.settings,
            "notes": self.notes,
        }


def fit(
    build: Callable[[], keras.Model],
    config: TrainingConfig,
    task: Task,
    train: Split,
    evaluation: Split,
    places: Places | None = None,
) -> FitResult:
    """Build and fit a model.

    Two calls with equal arguments give equal weights on CPUs: weights, shuffling and dropout follow `config.seed`.

    Args:
        build: returns a new, uncompiled model.
        config: how to fit it.
        task: decides loss and metrics.
        train: what to learn from.
        evaluation: what early stopping and the learning rate watch.
        places: where it writes; None writes nothing.

    Raises:
        ComponentError: the model cannot be built, or its loss becomes NaN.
    """
    import keras

    places = places or Places()
    keras.utils.set_random_seed(config.seed)
    distribution = _distribution(config, places)
    effective = Effective.of(config, distribution, train.rows)
    config = effective.config
    distribution.check_batch(config.batch_size)
    if distribution.note:
        report(places.runtime, "Trainer", distribution.note)
    with distribution.scope():
        with precision(config.precision):
            model = build()
        if distribution.share is not None:
            refuse_own_steps(model, own_loop=config.loop is not None)
        check_output(model, train.inputs, config.precision)
        compile_model(model, effective, task, train, distribution)
        began = time.perf_counter()
        fitting = Fitting(config, places, distribution)
        done = fitting.checkpoint.restore(model)
    step = fitting.checkpoint.step
    if done and not step:
        report(places.runtime, "Trainer", f"resumed after epoch {done}", done=done, total=config.epochs)
    if step:
        report(places.runtime, "Trainer", f"resumed after step {step} of epoch {done + 1}", total=config.epochs)
    settings = effective.settings(jit_compiled=bool(distribution.share is None and model.jit_compile))
    if distribution.share is None:
        fitting.run(model, done, train, evaluation)
    else:
        fitting.run_together(model, done, train, evaluation, task)
    if distribution.share is not None or config.precision != "float32":
        model = _alone(build, model, effective)
    else:
        _as_keras_knows_it(model, task)
    return FitResult(
        model,
        fitting.history,
        done,
        fitting.best_epoch,
        time.perf_counter() - began,
        fitting.watch.steps_per_second,
        settings,
        [distribution.note] if distribution.note else [],
        resumed_from_step=step,
    )


def _distribution(config: TrainingConfig, places: Places) -> Distribution:
    found = places.distribution or choose_distribution(config.strategy)
    if config.loop is None:
        return found
    from components.training.own_loop import one_copy

    if places.step is None:
        raise ComponentError(
            "A training step of your own cannot be used here.", spec_path="training.loop", remedy="Remove it."
        )
    return one_copy() if found.share is None else found


def compile_model(
    model: keras.Model, effective: Effective, task: Task, train: Split, distribution: Distribution
) -> None:
    """Compile a model for its task; metrics are weighted where there are weights.

    Raises:
        ComponentError: XLA was asked for, and a layer cannot be compiled with it.
    """
    config = effective.config
    model.compile(
        optimizer=make_optimizer(config, effective.length, effective.rate_factor),
        loss=objective.loss(task, config, mixed=train.mixes_labels),
        metrics=None if train.weighted else objective.metrics(task, mixed=train.mixes_labels),
        weighted_metrics=objective.metrics(task, mixed=train.mixes_labels) if train.weighted else None,
        steps_per_execution=distribution.steps_per_execution(
            config.steps_per_execution, train.steps(config.batch_size)
        ),
        jit_compile=config.jit_compile,
    )
    if config.jit_compile is True and not model.jit_compile:
        layers = [each.name for each in model._flatten_layers() if not each.supports_jit]  # noqa: SLF001 - no public one
        raise ComponentError(
            f"XLA cannot compile the model: {', '.join(layers)} does not support it.",
            spec_path="training.jit_compile",
            remedy="Set it to auto, which leaves XLA out where a layer cannot be compiled.",
        )


def _as_keras_knows_it(model: keras.Model, task: Task) -> None:
    """Forget a loss and a schedule of ours: a model file that names them could be loaded only where Sluice is."""
    without_ours(model.optimizer)
    if not type(model.loss).__module__.startswith("keras."):
        model.compile(optimizer=model.optimizer, loss=objective.loss(task))


def _alone(build: Callable[[], keras.Model], model: keras.Model, effective: Effective) -> keras.Model:
    """Return the model as one process has it in float32: what is exported must not know of a strategy."""
    copy = build()
    copy.set_weights(model.get_weights())
    copy.compile(optimizer=make_optimizer(effective.config, effective.length, effective.rate_factor))
    without_ours(copy.optimizer)
    return copy
