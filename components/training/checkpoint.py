"""A training that was cut off goes on after its last checkpoint, as if it had never stopped."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from components.training.callback_config import CheckpointConfig
from components.training.counts import Counts

FILE = "last_epoch.npz"

_Content = tuple[dict[str, Any], list[np.ndarray], dict[int, list[np.ndarray]], list[np.ndarray]]

# What Keras's callbacks remember between epochs, and forget when fit begins.
_MEMORY = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter")


class Checkpoint(keras.callbacks.Callback):
    """Writes weights, optimizer, history and the memory of other callbacks, and reads them back.

    It does so after each epoch and, as often as `every` says, inside one, with what metrics have counted so far. It
    comes last in the list of callbacks, so that it sees and restores what the others hold. Dropout's random state is
    among the weights, hence it goes on too.

    Args:
        folder: where the one file lies; nothing is written when it is None.
        history: one dictionary per finished epoch, shared with the callback that collects it.
        others: callbacks whose memory is kept.
        writes: False in a worker that only reads what the chief has written.
        keep: called with the folder after each checkpoint.
        every: how often inside an epoch; None only after each.
    """

    def __init__(
        self,
        folder: Path | None,
        history: list[dict[str, Any]],
        others: Sequence[keras.callbacks.Callback],
        *,
        writes: bool = True,
        keep: Callable[[Path], None] | None = None,
        every: CheckpointConfig | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.writes = writes
        self.keep = keep
        self.every = every
        self.history = history
        self.others = list(others)
        self.finished = False
        self.counts: Counts | None = None
        """What else belongs to a checkpoint inside an epoch; without it there is none."""
        self.step = 0
        """Steps of the epoch after those that are done, after `restore`."""
        self._restored: dict[str, Any] = {}
        self._best: dict[int, list[np.ndarray]] = {}
        self._counted: list[np.ndarray] = []
        self._epoch = self._last_step = 0
        self._last_time = time.monotonic()

    def restore(self, model: keras.Model) -> int:
        """Put a compiled model and the history back to the last checkpoint; return the whole epochs that are done."""
        model.optimizer.build(model.trainable_variables)
        try:
            found = self._read(model)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            # A checkpoint of other code or with a damaged file is worth nothing; training starts anew.
            return 0
        if found is None:
            return 0
        state, arrays, self._best, self._counted = found
        for variable, array in zip(_variables(model), arrays, strict=True):
            variable.assign(array)
        self.history[:] = state["history"]
        self._restored = state
        self.finished = bool(state["finished"])
        self.step = int(state.get("step", 0))
        return int(state["epoch"])

    def _read(self, model: keras.Model) -> _Content | None:
        if self.folder is None or not (self.folder / FILE).is_file():
            return None
        with np.load(self.folder / FILE, allow_pickle=False) as file:
            state = json.loads(bytes(file["state"]))
            variables = _variables(model)
            arrays = [file[f"variable_{index}"] for index in range(state["variables"])]
            if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
                raise ValueError("the checkpoint is of another model")
            best = {
                index: [file[f"best_{index}_{part}"] for part in range(memory["best_weights"])]
                for index, memory in enumerate(state["memories"])
                if memory["best_weights"]
            }
            counted = [file[f"counted_{index}"] for index in range(state.get("counted", 0))]
        return state, arrays, best, counted

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        for index, memory in enumerate(self._restored.get("memories", ())):
            callback = self.others[index]
            for name in _MEMORY:
                if name in memory:
                    setattr(callback, name, memory[name])
            if index in self._best:
                callback.best_weights = self._best[index]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self._epoch, self._last_step, self._last_time = epoch, 0, time.monotonic()
        if self.step and epoch == self._restored["epoch"]:
            self._last_step = self.step

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        if self._counted and self.counts is not None:
            # not before: an epoch begins with setting counts to 0
            self.counts.write(self._counted)
        self._counted = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        done = batch + 1
        if self.folder is not None and done < self.params["steps"] and self._due(done):
            self._save(self._epoch, done)
            self._last_step, self._last_time = done, time.monotonic()

    def _due(self, done: int) -> bool:
        if self.every is None or self.counts is None:
            return False
        if self.every.every_steps is not None:
            return done - self._last_step >= self.every.every_steps
        return self.counts.agreed(time.monotonic() - self._last_time >= 60 * (self.every.every_minutes or 0))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self._save(epoch + 1, 0)

    def _save(self, epoch: int, step: int) -> None:
        counted = self.counts.read() if step and self.counts is not None else []
        if self.folder is None or not self.writes:
            return
        arrays = {f"variable_{index}": _array(each) for index, each in enumerate(_variables(self.model))}
        memories = []
        for index, callback in enumerate(self.others):
            memory = {name: _plain(getattr(callback, name)) for name in _MEMORY if hasattr(callback, name)}
            best = getattr(callback, "best_weights", None) or []
            arrays.update({f"best_{index}_{part}": array for part, array in enumerate(best)})
            memories.append({**memory, "best_weights": len(best)})
        arrays.update({f"counted_{index}": each for index, each in enumerate(counted)})
        state = {
            "epoch": epoch,
            "step": step,
            "counted": len(counted),
            "finished": not step and bool(self.model.stop_training),
            "history": self.history,
            "memories": memories,
            "variables": len(_variables(self.model)),
        }
        self._write(state, arrays)
        if self.keep is not None:
            self.keep(self.folder)

    def _write(self, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f".{FILE}.{os.getpid()}.partial"
        with partial.open("wb") as file:
            np.savez(file, state=np.frombuffer(json.dumps(state).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        os.replace(partial, self.folder / FILE)


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]


def _array(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)


def _plain(value: Any) -> Any:
    """Return a number that JSON can hold."""
    return value.item() if hasattr(value, "item") else value
