"""Fit a model: compile it, feed it, watch it, and go on where an earlier attempt was cut off."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.engine.progress import report
from components.errors import ComponentError
from components.features import Task
from components.model.loading_again import refuse_own_steps
from components.training import objective
from components.training.config import TrainingConfig
from components.training.distribution import Distribution, choose_distribution
from components.training.effective import Effective, check_output, precision
from components.training.input_fn import EpochOrder, Split, evaluation_dataset, training_dataset
from components.training.learning_rate import without_ours
from components.training.optimizer import make_optimizer

if TYPE_CHECKING:
    import keras

    from components.training.own_loop import OwnStep
    from components.training.user_callbacks import UserCallbacks

EVALUATION_BATCH_SIZE = 4096
"""Rows per step of the evaluation split; larger than training batches, since nothing is learnt from them."""


@dataclass(frozen=True)
class Places:
    """Where a training runs, and where it writes besides its result.

    Args:
        runtime: the component's runtime, for progress.
        checkpoint_folder: where an attempt that is cut off leaves what it has; None cannot resume.
        log_folder: where TensorBoard logs go; None writes none.
        keep: called with the folder after each checkpoint, to bring it to where it outlives this machine.
        distribution: where a worker that has joined others fits; None chooses by `training.strategy`.
        own: callbacks of the user's.
        step: training step of the user's.
    """

    runtime: Mapping[str, Any] = field(default_factory=dict)
    checkpoint_folder: Path | None = None
    log_folder: Path | None = None
    keep: Callable[[Path], None] | None = None
    distribution: Distribution | None = None
    own: UserCallbacks | None = None
    step: OwnStep | None = None


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
        fitting = _Fitting(config, places, distribution)
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


class _Fitting:
    """The callbacks of one training, and the call of Keras's `fit`."""

    def __init__(self, config: TrainingConfig, places: Places, distribution: Distribution) -> None:
        import keras

        from components.training.callbacks import Deciding, Watch
        from components.training.checkpoint import Checkpoint

        self.config = config
        self.distribution = distribution
        self.own = places.own
        self.step = places.step
        self.history: list[dict[str, Any]] = []
        self.order = EpochOrder(config.seed)
        self.watch = Watch(places.runtime, self.order, config.epochs, self.history)
        self.deciding = Deciding.of(config)
        self.checkpoint = Checkpoint(
            places.checkpoint_folder,
            self.history,
            self.deciding.callbacks,
            writes=distribution.is_chief,
            keep=places.keep,
            every=config.checkpoint,
        )
        logging: list[keras.callbacks.Callback] = []
        if places.log_folder is not None:
            # profile_batch and write_graph off: both cost seconds and megabytes that a table model does not repay.
            logging.append(keras.callbacks.TensorBoard(str(places.log_folder), write_graph=False, profile_batch=0))
        own = [] if places.own is None else places.own.callbacks
        self.callbacks = [self.watch, *logging, *own, *self.deciding.callbacks, self.checkpoint]

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose weights the model has."""
        keeping = self.deciding.keeping
        if keeping is not None and keeping.best_weights is not None:
            return int(keeping.best_epoch) + 1
        return len(self.history)

    def run(self, model: keras.Model, done: int, train: Split, evaluation: Split) -> None:
        """Fit from epoch `done` on, or from a step within it.

        When the checkpoint was the last one, only its best weights are put back.
        """
        from components.training.counts import CountsOfKeras
        from components.training.resuming import ResumedCallbacks

        config, step = self.config, self.checkpoint.step
        checks = evaluation_dataset(evaluation, max(config.batch_size, EVALUATION_BATCH_SIZE))

        def epochs(first: int, last: int, callbacks: Any, step: int = 0) -> None:
            model.fit(
                training_dataset(train, config.batch_size, self.order, step),
                epochs=last,
                initial_epoch=first,
                validation_data=checks,
                callbacks=callbacks,
                shuffle=False,
                verbose=0,
            )

        self.checkpoint.counts = CountsOfKeras(model)
        with self._explained():
            if not step:
                epochs(self._first_epoch(done), config.epochs, self.callbacks)
                return
            # Keras makes the metrics' variables with the first batch; what that changes is put back.
            model.evaluate(checks.take(1), verbose=0)
            self.checkpoint.restore(model)
            whole = train.steps(config.batch_size)
            callbacks = ResumedCallbacks(self.callbacks, model, step, epochs=config.epochs, steps=whole)
            epochs(done, done + 1, callbacks, step)
            callbacks.rest()
            epochs(config.epochs if model.stop_training else done + 1, config.epochs, callbacks)

    def run_together(self, model: keras.Model, done: int, train: Split, evaluation: Split, task: Task) -> None:
        """Fit with the other copies; see `run`."""
        from components.training.counts import CountsOfCopies
        from components.training.loop import Schedule, SynchronousLoop

        config, distribution = self.config, self.distribution
        evaluation_size = max(config.batch_size, EVALUATION_BATCH_SIZE)
        schedule = Schedule(
            self._first_epoch(done),
            config.epochs,
            config.batch_size,
            evaluation_size + -evaluation_size % distribution.replicas,
            distribution.steps_per_execution(config.steps_per_execution, train.steps(config.batch_size)),
            self.checkpoint.step,
        )
        with self._explained():
            loss = objective.loss(task, config, mixed=train.mixes_labels)
            kind = SynchronousLoop if self.step is None else self.step.loop
            loop = kind(model, distribution, task, loss, mixed=train.mixes_labels, clipping=config.gradient_clipping)
            self.checkpoint.counts = CountsOfCopies(distribution.strategy, loop.share, loop.own_to_copies)
            if not (loop.agree(schedule.first_epoch) and loop.agree(schedule.first_step)):
                raise ComponentError(
                    f"This worker would go on after step {schedule.first_step} of epoch {schedule.first_epoch + 1}, "
                    "and another one elsewhere.",
                    remedy="All workers must read the same checkpoint: the pipeline's root must be shared by them.",
                )
            loop.fit(schedule, self.order, train, evaluation, self.callbacks)

    def _first_epoch(self, done: int) -> int:
        # With nothing left to train, on_train_begin and on_train_end still come, which restore the best weights.
        return self.config.epochs if self.checkpoint.finished else done

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        import tensorflow as tf

        try:
            with contextlib.nullcontext() if self.own is None else self.own.explained():
                yield
        except tf.errors.ResourceExhaustedError as error:
            raise ComponentError(
                f"There was not enough memory for batches of {self.config.batch_size} rows.",
                spec_path="training.batch_size",
                remedy="Lower training.batch_size, or set training.cache to never.",
            ) from error
