"""Several copies of the model learn as one: a synchronous loop, since Keras 3's `fit` cannot drive several workers.

Under a MultiWorkerMirroredStrategy, Keras 3.15's `fit` fails: it hands values of several copies to code that takes one.
This loop does what `fit` does, callbacks included, with public calls of TensorFlow and Keras only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.errors import ComponentError
from components.features import Task
from components.training import objective
from components.training.config import GradientClippingConfig
from components.training.distribution import Distribution
from components.training.input_fn import EpochOrder, Split
from components.training.shares import Batches, shared_evaluation_dataset, shared_training_dataset

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Schedule:
    """From where to where.

    Args:
        first_epoch: epochs that are done already.
        epochs: epochs in all.
        batch_size: rows of a global batch.
        evaluation_batch_size: rows of a global batch that is only evaluated.
        steps_per_call: training steps per call into TensorFlow, at most.
        first_step: steps of the next epoch that are done too.
    """

    first_epoch: int
    epochs: int
    batch_size: int
    evaluation_batch_size: int
    steps_per_call: int
    first_step: int = 0


class SynchronousLoop:
    """Trains copies of one model, each on its share of every batch; all end with the same weights.

    The loss of a batch is the mean over the rows of the whole global batch, and gradients are summed over the copies
    before they are applied: a step is the step that one process would make. Two things are each copy's own. Batch
    normalization takes mean and variance of the copy's rows (moving averages are averaged over copies), and dropout
    repeats one mask in every copy.

    Args:
        model: built in the strategy's scope, with its optimizer.
        distribution: the strategy.
        task: decides the metrics.
        loss: what is minimized; it is the loop's own afterwards.
        mixed: labels of training can lie between the classes.
        clipping: limits the gradient of the whole batch; the optimizer's own would limit that of each copy.
    """

    def __init__(
        self,
        model: keras.Model,
        distribution: Distribution,
        task: Task,
        loss: keras.losses.Loss,
        *,
        mixed: bool = False,
        clipping: GradientClippingConfig | None = None,
    ) -> None:
        import keras

        if distribution.share is None:
            raise TypeError("the loop needs a distribution that knows its share")
        self.model = model
        self.share = distribution.share
        self.strategy = distribution.strategy
        self.loss = loss
        self.clipping = clipping
        # A gradient that is not finite must be so in all copies: else only some of them would skip the step.
        self._sums_first = clipping is not None or isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        # Keras's mean would be over the rows of one copy.
        self.loss.reduction = "sum"
        with distribution.scope():
            self.metrics = [keras.metrics.Mean(name="loss"), *objective.metrics(task, mixed=mixed)]
        self._first_step = 0
        self._kept = [each for each in model.non_trainable_variables if each.dtype.startswith(("float", "bfloat"))]
        self._train = self._on_all_copies(self._training_step)
        self._evaluate = self._on_all_copies(self._evaluation_step)

    def fit(
        self, schedule: Schedule, order: EpochOrder, train: Split, evaluation: Split, callbacks: Sequence[Any]
    ) -> None:
        """Train; stops early when a callback sets `model.stop_training`."""
        import keras

        training = Batches(train, schedule.batch_size, self.share)
        evaluating = Batches(evaluation, schedule.evaluation_batch_size, self.share)
        watching = keras.callbacks.CallbackList(
            list(callbacks),
            add_history=False,
            model=self.model,
            epochs=schedule.epochs,
            steps=training.steps,
            verbose=0,
        )
        self.model.stop_training = False
        watching.on_train_begin()
        logs: dict[str, float] = {}
        if schedule.first_epoch < schedule.epochs:
            rows = self._distributed(
                shared_training_dataset(training, order, schedule.first_epoch, schedule.first_step)
            )
            checks = self._distributed(shared_evaluation_dataset(evaluating))
            self._first_step = schedule.first_step
            for epoch in range(schedule.first_epoch, schedule.epochs):
                watching.on_epoch_begin(epoch)
                logs = self._train_epoch(rows, training.steps, schedule.steps_per_call, watching)
                logs |= self._evaluate_epoch(checks, evaluating.steps)
                watching.on_epoch_end(epoch, logs)
                if self.model.stop_training:
                    break
        watching.on_train_end(logs)
        if not self.agree(zlib.crc32(b"".join(each.tobytes() for each in self.model.get_weights())) >> 8):
            raise ComponentError(
                "The workers ended with different weights.",
                remedy="Train on machines of one kind; if they are, please report it: this must not happen.",
            )

    def _train_epoch(self, rows: Iterator[Any], steps: int, at_once: int, watching: Any) -> dict[str, float]:
        done, self._first_step = self._first_step, 0
        while done < steps:
            count = min(at_once, steps - done)
            watching.on_train_batch_begin(done)
            loss = self._train(rows, count)
            done += count
            watching.on_train_batch_end(done - 1, {"loss": float(loss)})
        self._average_statistics()
        return self._take_metrics("")

    def own_to_copies(self) -> list[Any]:
        """Return the variables of which each copy has its own value inside an epoch."""
        return [*self._kept, *(variable for metric in self._counting() for variable in metric.variables)]

    def _counting(self) -> list[Any]:
        """Return the metrics of training."""
        return list(self.metrics)

    def agree(self, number: int) -> bool:
        """Say whether every process names the same number below 2^24; all of them must ask at the same point."""
        import tensorflow as tf

        def compared() -> Any:
            context = tf.distribute.get_replica_context()
            value = tf.constant(float(number), tf.float64)
            return context.all_reduce("SUM", value), context.all_reduce("SUM", value * value)

        total, squares = (
            float(self._local(each)) for each in tf.function(lambda: self.strategy.run(compared), autograph=False)()
        )
        copies = self.strategy.num_replicas_in_sync
        return total == copies * number and squares == copies * number * number

    def _average_statistics(self) -> None:
        """Give every copy the same moving averages: batch normalization has counted each copy's rows apart."""
        import tensorflow as tf

        def averages() -> Any:
            # identity: the variable's own value names no device, which all_reduce needs.
            values = [tf.identity(each.value) for each in self._kept]
            return tf.distribute.get_replica_context().all_reduce("MEAN", values)

        if self._kept:
            means = tf.function(lambda: self.strategy.run(averages), autograph=False)()
            for variable, mean in zip(self._kept, means, strict=True):
                variable.assign(self._local(mean))

    def _local(self, value: Any) -> Any:
        """Return what a value is on this process's first copy."""
        return self.strategy.experimental_local_results(value)[0]

    def _evaluate_epoch(self, rows: Iterator[Any], steps: int) -> dict[str, float]:
        self._evaluate(rows, steps)
        return self._take_metrics("val_")

    def _take_metrics(self, prefix: str) -> dict[str, float]:
        """Read what all copies have counted together, and begin anew; every process does so at the same point."""
        found = {prefix + metric.name: float(metric.result()) for metric in self.metrics}
        for metric in self.metrics:
            metric.reset_state()
        return found

    def _distributed(self, dataset: Any) -> Iterator[Any]:
        return iter(self.strategy.distribute_datasets_from_function(lambda _: dataset))

    def _on_all_copies(self, step: Any) -> Any:
        """Return a function that runs a step on every copy several times and returns the last loss of all of them."""
        import tensorflow as tf

        def once(rows: Iterator[Any]) -> Any:
            loss = self.strategy.run(step, args=(next(rows),))
            return tf.cast(self.strategy.reduce("SUM", loss, axis=None), tf.float32)

        def several(rows: Iterator[Any], count: Any) -> Any:
            begin = (tf.constant(0), tf.constant(0.0))
            return tf.while_loop(lambda done, _: done < count, lambda done, _: (done + 1, once(rows)), begin)[1]

        # Without autograph, which has nothing to convert here, tracing takes half as long.
        compiled = tf.function(several, reduce_retracing=True, autograph=False)
        return lambda rows, count: compiled(rows, tf.constant(count))

    def _training_step(self, batch: dict[str, Any]) -> Any:
        import tensorflow as tf

        optimizer = self.model.optimizer
        with tf.GradientTape() as tape:
            loss = self._loss(batch, training=True)
            scaled = optimizer.scale_loss(loss)
        variables = self.model.trainable_variables
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        if self._sums_first:
            gradients = self._clipped(self._summed(gradients))
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def _summed(self, gradients: Sequence[Any]) -> list[Any]:
        """Return the gradients of the whole batch, the same in every copy."""
        import tensorflow as tf

        dense = [None if each is None else tf.convert_to_tensor(each) for each in gradients]
        found = tf.distribute.get_replica_context().all_reduce("SUM", [each for each in dense if each is not None])
        following = iter(found)
        return [None if each is None else next(following) for each in dense]

    def _clipped(self, gradients: Sequence[Any]) -> list[Any]:
        """Return this copy's part of the gradients after clipping: the optimizer adds the copies' parts."""
        import tensorflow as tf

        copies = self.strategy.num_replicas_in_sync
        given = [each for each in gradients if each is not None]
        if self.clipping is not None:
            name, limit = self.clipping.only
            # loss scaling multiplies gradients, and with them what they may be
            limit = self.model.optimizer.scale_loss(tf.constant(limit, tf.float32))
            match name:
                case "norm":
                    given = [tf.clip_by_norm(each, limit) for each in given]
                case "global_norm":
                    given = tf.clip_by_global_norm(given, limit)[0]
                case _:
                    # what is not finite stays so: loss scaling must see it
                    given = [
                        tf.where(tf.math.is_finite(each), tf.clip_by_value(each, -limit, limit), each) for each in given
                    ]
        following = iter(given)
        return [None if each is None else next(following) / copies for each in gradients]

    def _evaluation_step(self, batch: dict[str, Any]) -> Any:
        return self._loss(batch, training=False)

    def _loss(self, batch: dict[str, Any], *, training: bool) -> Any:
        return self._loss_of(batch, self.model(batch["features"], training=training))

    def _loss_of(self, batch: dict[str, Any], output: Any, *, counts: bool = True) -> Any:
        """Return this copy's part of the mean loss over the global batch, and count the metrics."""
        import tensorflow as tf

        loss = self.loss(batch["label"], output, sample_weight=batch["weight"]) / batch["rows"]
        if self.model.losses:
            # Regularization belongs to the weights, not to rows: all copies together add it once.
            loss += tf.add_n(self.model.losses) / self.strategy.num_replicas_in_sync
        if not counts:
            return loss
        own = tf.reduce_sum(batch["counts"])
        average, *metrics = self.metrics
        average.update_state(loss * batch["rows"] / tf.maximum(own, 1.0), sample_weight=own)
        for metric in metrics:
            metric.update_state(batch["label"], output, sample_weight=batch["weight"])
        return loss
