"""What watches a training: progress on screen, the history, and a loss that is no longer a number."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from components.engine.progress import report
from components.errors import ComponentError
from components.training.callback_config import ReduceLearningRateConfig
from components.training.config import TrainingConfig
from components.training.input_fn import EpochOrder
from components.training.learning_rate import rate_of_last_step
from components.training.objective import direction

SECONDS_BETWEEN_REPORTS = 1.0


@dataclass(frozen=True)
class Deciding:
    """The callbacks that decide between epochs how training goes on; what they remember is part of a checkpoint.

    Args:
        callbacks: in the order in which they are called.
        keeping: the one that holds the best weights; None keeps the last.
    """

    callbacks: tuple[keras.callbacks.Callback, ...]
    keeping: keras.callbacks.EarlyStopping | None

    @classmethod
    def of(cls, config: TrainingConfig) -> Deciding:
        """Return those that a spec asks for."""
        found: list[keras.callbacks.Callback] = []
        if config.reduce_learning_rate is not None:
            found.append(_reducing(config.reduce_learning_rate))
        best, early, keeping = config.best, config.early_stopping, None
        same = best is not None and early is not None and (best.best, best.mode) == (early.monitor, early.mode)
        if early is not None:
            stopping = keras.callbacks.EarlyStopping(
                monitor=early.monitor,
                mode=_mode(early.mode, early.monitor),
                patience=early.patience,
                min_delta=early.min_delta,
                restore_best_weights=same,
            )
            found.append(stopping)
            keeping = stopping if same else None
        if best is not None and keeping is None:
            # never stops; a ModelCheckpoint would write a file each epoch, which a restart could not tell apart
            keeping = keras.callbacks.EarlyStopping(
                monitor=best.best, mode=_mode(best.mode, best.best), patience=config.epochs, restore_best_weights=True
            )
            found.append(keeping)
        return cls(tuple(found), keeping)


def _reducing(wanted: ReduceLearningRateConfig) -> keras.callbacks.Callback:
    return keras.callbacks.ReduceLROnPlateau(
        monitor=wanted.monitor,
        mode=_mode(wanted.mode, wanted.monitor),
        factor=wanted.factor,
        patience=wanted.patience,
        min_lr=wanted.minimum,
        min_delta=wanted.min_delta,
        cooldown=wanted.cooldown,
    )


def _mode(written: str, monitor: str) -> str:
    """Return the direction; Keras' own guess knows only metrics that a model is compiled with."""
    return direction(monitor) if written == "auto" else written


class Watch(keras.callbacks.Callback):
    """Reports progress, collects the history, moves the order of rows on, and stops at a loss that is not finite.

    It comes first in the list, so that the history holds the learning rate that an epoch was trained with.

    Args:
        runtime: the component's runtime, for progress.
        order: told which epoch begins.
        epochs: epochs in all.
        history: one dictionary per finished epoch; those of a run that was cut off come first.
    """

    def __init__(
        self, runtime: Mapping[str, Any], order: EpochOrder, epochs: int, history: list[dict[str, Any]]
    ) -> None:
        super().__init__()
        self.runtime = runtime
        self.order = order
        self.epochs = epochs
        self.history = history
        self.steps_timed, self.seconds_timed = 0, 0.0
        self._epoch_began = self._last_call = self._last_report = 0.0
        self._first_step, self._last_step = 0, -1
        self._traced = False

    @property
    def steps_per_second(self) -> float:
        """Training steps per second, without the first call of all, which traces; evaluation is not counted."""
        return self.steps_timed / self.seconds_timed if self.seconds_timed else 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self.order.epoch = epoch
        self._epoch_began = self._last_report = self._last_call = time.perf_counter()
        self._first_step, self._last_step = 0, -1

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        if self._last_step < 0 < batch:  # goes on inside the epoch
            self._first_step, self._last_step = batch, batch - 1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.perf_counter()
        steps = min(batch, (self.params.get("steps") or batch + 1) - 1) - self._last_step
        if self._traced:
            self.steps_timed += steps
            self.seconds_timed += now - self._last_call
        self._traced = True
        self._last_call = now
        self._last_step += steps
        if now - self._last_report >= SECONDS_BETWEEN_REPORTS:
            self._last_report = now
            self._refuse_nan(logs or {})
            self._report_within_epoch(now)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        self._refuse_nan(values)
        values.setdefault("learning_rate", rate_of_last_step(self.model.optimizer))
        seconds = round(time.perf_counter() - self._epoch_began, 3)
        self.history.append({"epoch": epoch + 1, **values, "seconds": seconds})
        shown = [f"{name} {values[name]:.4g}" for name in _shown(values)]
        report(
            self.runtime,
            "Trainer",
            ", ".join([f"epoch {epoch + 1}/{self.epochs}", *shown]),
            done=epoch + 1,
            total=self.epochs,
        )

    def _report_within_epoch(self, now: float) -> None:
        total = self.params.get("steps")
        done = self._last_step + 1
        rate = (done - self._first_step) / (now - self._epoch_began)
        part = f"{done}/{total}" if total else str(done)
        report(
            self.runtime,
            "Trainer",
            f"epoch {self.order.epoch + 1}/{self.epochs}, step {part}, {rate:.0f} steps/s",
            done=self.order.epoch + (done / total if total else 0),
            total=self.epochs,
        )

    def _refuse_nan(self, logs: Mapping[str, Any]) -> None:
        loss = float(logs.get("loss", 0.0))
        if not math.isfinite(loss):
            raise ComponentError(
                f"The training loss became {loss} in epoch {self.order.epoch + 1}.",
                spec_path="training.optimizer",
                remedy="Lower the learning rate to a tenth, and check that numeric features are scaled (z_score or "
                "min_max) and that a regression label has no extreme values.",
            )


def _shown(values: Mapping[str, float]) -> list[str]:
    """Return the names worth a place on screen: the evaluation split's if there are any."""
    names = [name for name in values if name not in {"learning_rate", "seconds"}]
    return [name for name in names if name.startswith("val_")] or names
