"""What a training has counted so far in an epoch: part of a checkpoint that lies inside one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from components.training.shares import Share


class Counts(Protocol):
    """Reads what has been counted, and puts it back.

    Where several processes train, all of them call each method at the same point.
    """

    def read(self) -> list[np.ndarray]:
        """Return it."""

    def write(self, arrays: Sequence[np.ndarray]) -> None:
        """Put back what `read` returned."""

    def agreed(self, due: bool) -> bool:
        """Return the chief's answer."""


class CountsOfKeras:
    """The metrics of a model that Keras's `fit` trains.

    Args:
        model: compiled.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def read(self) -> list[np.ndarray]:
        return [each.numpy() for each in self.model.metrics_variables]

    def write(self, arrays: Sequence[np.ndarray]) -> None:
        for variable, array in zip(self.model.metrics_variables, arrays, strict=True):
            variable.assign(array)

    def agreed(self, due: bool) -> bool:
        return due


class CountsOfCopies:
    """Variables of which each copy of a model has a value of its own, such as metrics and moving averages.

    An array is `[copies, …]`, in the order of the copies.

    Args:
        strategy: of the copies.
        share: those of this process; copy 0 is the chief's.
        variables: returns the variables, always in the same order.
    """

    def __init__(self, strategy: Any, share: Share, variables: Callable[[], Sequence[Any]]) -> None:
        self.strategy = strategy
        self.share = share
        self.variables = variables
        self._reading: Any = None
        self._agreeing: Any = None

    def read(self) -> list[np.ndarray]:
        import tensorflow as tf

        def gathered() -> Any:
            # identity: the variable's own value names no device, which all_gather needs
            own = [tf.identity(each.value)[None] for each in self.variables()]
            return own if self.share.copies == 1 else tf.distribute.get_replica_context().all_gather(own, axis=0)

        if self._reading is None:
            self._reading = tf.function(lambda: self.strategy.run(gathered), autograph=False)
        return [self._local(each).numpy() for each in self._reading()]

    def write(self, arrays: Sequence[np.ndarray]) -> None:
        import tensorflow as tf

        def put() -> None:
            copy = tf.distribute.get_replica_context().replica_id_in_sync_group
            for variable, array in zip(self.variables(), arrays, strict=True):
                variable.assign(tf.gather(tf.constant(array), copy))

        tf.function(lambda: self.strategy.run(put), autograph=False)()

    def agreed(self, due: bool) -> bool:
        import tensorflow as tf

        if self.share.count == self.share.copies:
            return due

        def summed(value: Any) -> Any:
            context = tf.distribute.get_replica_context()
            of_chief = tf.where(tf.equal(context.replica_id_in_sync_group, 0), value, 0.0)
            return context.all_reduce("SUM", of_chief)

        if self._agreeing is None:
            self._agreeing = tf.function(lambda value: self.strategy.run(summed, args=(value,)), autograph=False)
        return float(self._local(self._agreeing(tf.constant(float(due))))) > 0

    def _local(self, value: Any) -> Any:
        return self.strategy.experimental_local_results(value)[0]
