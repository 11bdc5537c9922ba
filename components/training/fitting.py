"""One training: its callbacks, and the call of Keras's `fit` or of the loop for several copies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from components.errors import ComponentError
from components.features import Task
from components.training import objective
from components.training.config import TrainingConfig
from components.training.distribution import Distribution
from components.training.input_fn import EpochOrder, Split, evaluation_dataset, training_dataset
from components.training.places import Places

if TYPE_CHECKING:
    import keras

EVALUATION_BATCH_SIZE = 4096
"""Rows per step of the evaluation split; larger than training batches, since nothing is learnt from them."""


class Fitting:
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
