"""Go on inside an epoch: Keras's `fit` for the rest of it and for those after it, as one call to callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class ResumedCallbacks(keras.callbacks.CallbackList):
    """Callbacks of a training that begins with the rest of an epoch.

    Keras's `fit` counts the steps of each epoch from 0 and begins and ends a training with each call. Callbacks hear of
    the steps as they are in the whole epoch, of one beginning, and of the end after `rest`.

    Args:
        callbacks: in the order in which they are called.
        model: compiled.
        step: steps of the epoch that are done.
        params: `epochs`, and `steps` of a whole epoch.
    """

    def __init__(self, callbacks: Sequence[Any], model: keras.Model, step: int, **params: Any) -> None:
        super().__init__(list(callbacks), add_history=True, model=model, verbose=0, **params)
        self.step = step
        self._begun = self._ending = False

    def rest(self) -> None:
        """Be told that the epoch is over and the next call of `fit` is the last."""
        self.step, self._ending = 0, True

    def on_train_begin(self, logs: Any = None) -> None:
        if not self._begun:
            super().on_train_begin(logs)
        self._begun = True

    def on_train_end(self, logs: Any = None) -> None:
        if self._ending:
            super().on_train_end(logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_begin(batch + self.step, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        super().on_train_batch_end(batch + self.step, logs)
