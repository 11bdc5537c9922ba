"""The user's own training step in Sluice's loop: data, epochs, callbacks, checkpoints and copies stay Sluice's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from components.engine import user_file
from components.engine.user_file import failure_of
from components.errors import ComponentError
from components.training.config import TrainingConfig
from components.training.distribution import Distribution
from components.training.loop import SynchronousLoop
from components.training.loop_config import STEP, LoopConfig
from components.training.shares import Share


def one_copy() -> Distribution:
    """Return one device as a strategy with one copy of the model, which the loop trains like several."""
    import tensorflow as tf

    return Distribution(tf.distribute.get_strategy(), share=Share(0, 1, 1))


class OwnStep:
    """The function of the user's that makes one training step.

    It is called as `function(model, optimizer, loss, batch, **parameters)`, while TensorFlow traces it into a graph
    without AutoGraph: what depends on a tensor's value is written with `tf.cond` and `tf.while_loop`. It computes
    gradients with a `tf.GradientTape`, applies them with `optimizer.apply`, and returns a dictionary of numbers for the
    history, or None; the history has their means over steps and copies of the model. In an epoch that was cut off they
    are of the steps since. With `mixed_float16` the tape is over `optimizer.scale_loss(value)`.

    `batch` is a dictionary: `features`, one tensor `[rows, …]` by input; `label` `[rows, 1]`; `weight` `[rows]`, 0 for
    rows that only fill up a batch; `rows`, the number of rows of the whole batch, of which this copy has its share.

    `loss(batch, predictions)` is the loss that the spec asks for: the mean over the rows of the whole batch, with the
    model's regularization, and this copy's part of it where there are several: their gradients are added up. A loss
    of the user's own does likewise: `tf.reduce_sum(each_row * batch["weight"]) / batch["rows"]`. The first call in a
    step also counts loss and metrics for the history, so there must be one.

    Args:
        config: names the file and the function.
        source: content of the file.
        base_dir: folder of the spec, for imports of files beside it.

    Raises:
        ComponentError: the file does not run, or lacks the function; with the user's line.
    """

    def __init__(self, config: LoopConfig, source: str, base_dir: str | Path | None = None) -> None:
        self.file, self.name, self.parameters = config.module, config.function, config.parameters
        self._function = user_file.load_function(source, STEP, config.function, config.module, base_dir)

    @classmethod
    def of(cls, config: TrainingConfig, node: Mapping[str, Any], base_dir: str | Path | None) -> OwnStep | None:
        """Return the step that a spec names, from the node's config, which holds the file; None without one."""
        return None if config.loop is None else cls(config.loop, node.get("loop_source") or "", base_dir)

    def loop(self, *arguments: Any, **options: Any) -> OwnLoop:
        """Return the loop that makes this step, from the arguments of `SynchronousLoop`."""
        return OwnLoop(self, *arguments, **options)

    def __call__(self, model: Any, loss: Callable[[Any, Any], Any], batch: dict[str, Any]) -> dict[str, Any]:
        """Make the step and return what it says for the history."""
        try:
            found = self._function(model, model.optimizer, loss, batch, **self.parameters)
        except ComponentError:
            raise
        except Exception as error:
            raise failure_of(error, self.file, f"{self.name} in {self.file} failed", STEP.function) from error
        if found is not None and not isinstance(found, Mapping):
            raise ComponentError(
                f"{self.name} in {self.file} returned {type(found).__name__}.",
                spec_path=STEP.function,
                remedy="Return a dictionary of numbers for the history, or nothing.",
            )
        return {name: self._number(name, value) for name, value in (found or {}).items()}

    def _number(self, name: str, value: Any) -> Any:
        import tensorflow as tf

        try:
            found = tf.convert_to_tensor(value)
        except (TypeError, ValueError, tf.errors.OpError) as error:
            raise self._refused(f"{name!r}, which is {type(value).__name__}") from error
        if not (found.dtype.is_floating or found.dtype.is_integer or found.dtype.is_bool) or found.shape.rank != 0:
            raise self._refused(f"{name!r}, which is {found.dtype.name} of shape {found.shape}")
        return tf.cast(found, tf.float32)

    def _refused(self, what: str) -> ComponentError:
        remedy = "Return numbers, such as tf.reduce_mean(…) makes."
        text = f"{self.name} in {self.file} returned {what}; expected a number."
        return ComponentError(text, spec_path=STEP.function, remedy=remedy)


class OwnLoop(SynchronousLoop):
    """The loop with the user's step in place of its own; see `SynchronousLoop` for the other arguments.

    Args:
        step: the user's.
    """

    def __init__(self, step: OwnStep, *arguments: Any, **options: Any) -> None:
        self._step = step
        self._names: list[str] = []
        self._logs: dict[str, Any] | None = None
        super().__init__(*arguments, **options)

    def _training_step(self, batch: dict[str, Any]) -> Any:
        losses: list[Any] = []

        def loss(of: dict[str, Any], predictions: Any) -> Any:
            losses.append(self._loss_of(of, predictions, counts=not losses))
            return losses[-1]

        found = self._step(self.model, loss, batch)
        if not losses:
            raise ComponentError(
                f"{self._step.name} in {self._step.file} never called loss(batch, predictions).",
                spec_path=STEP.function,
                remedy="Call it once in each step: the history and what watches it take the loss and metrics from it.",
            )
        self._names = sorted(found)
        for name, metric in (self._logs or {}).items():
            metric.update_state(found[name])
        return losses[0]

    def _train_epoch(self, rows: Iterator[Any], steps: int, at_once: int, watching: Any) -> dict[str, float]:
        if self._logs is None:
            self._logs = self._make_logs(rows)
        return super()._train_epoch(rows, steps, at_once, watching)

    def _make_logs(self, rows: Iterator[Any]) -> dict[str, Any]:
        """Return a mean by each name of the step's own; a first tracing, which runs nothing, shows the names."""
        import keras
        import tensorflow as tf

        tf.function(
            lambda given: self.strategy.run(self._training_step, args=(next(given),)), autograph=False
        ).get_concrete_function(rows)
        taken = sorted({metric.name for metric in self.metrics} & set(self._names))
        if taken:
            raise ComponentError(
                f"{self._step.name} in {self._step.file} returned {', '.join(map(repr, taken))}, which the history has "
                "already from loss(batch, predictions).",
                spec_path=STEP.function,
                remedy="Choose another name, or leave it out.",
            )
        with self.strategy.scope():
            return {name: keras.metrics.Mean(name=name) for name in self._names}

    def _counting(self) -> list[Any]:
        return [*super()._counting(), *(self._logs or {}).values()]

    def _take_metrics(self, prefix: str) -> dict[str, float]:
        found = super()._take_metrics(prefix)
        if not prefix:
            for name, metric in (self._logs or {}).items():
                found[name] = float(metric.result())
                metric.reset_state()
        return found
