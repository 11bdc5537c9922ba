"""Snapshot ensemble: one training with several cycles of the learning rate, and the model at the end of each."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from components.ensemble.combine import Ensemble, averaged
from components.ensemble.config import SnapshotConfig
from components.ensemble.member import Given, Member, train_member
from components.model.config import ModelConfig
from components.training.config import OPTIMIZERS, TrainingConfig

if TYPE_CHECKING:
    import keras


def made(config: SnapshotConfig, given: Given) -> Ensemble:
    """Train cycle after cycle, each from where the last one ended."""
    found: list[Member] = []
    for number in range(config.cycles):
        cycle = replace(
            given,
            build=_from(given, found[-1].model if found else None),
            config=cycle_config(given.config, config.cycles, number),
        )
        found.append(train_member(cycle, number, f"cycle {number + 1}", 1 / config.cycles))
    return averaged(found)


def cycle_config(config: TrainingConfig, cycles: int, number: int) -> TrainingConfig:
    """Return how one cycle is trained: its share of the epochs, while the rate falls to 0 along half a cosine.

    Example:
        >>> [cycle_config(TrainingConfig(epochs=10), 4, number).epochs for number in range(4)]
        [3, 3, 2, 2]
    """
    epochs = max(1, config.epochs // cycles + (number < config.epochs % cycles))
    rate = config.optimizer.arguments.get("learning_rate", _default_rate(config.optimizer.name))
    arguments = {**config.optimizer.arguments, "learning_rate": {"cosine_decay": {"initial_learning_rate": rate}}}
    optimizer = config.optimizer.model_copy(update={"arguments": arguments})
    return config.model_copy(update={"epochs": epochs, "optimizer": optimizer})


def _default_rate(optimizer: str) -> float:
    """Return the rate that Keras' optimizer has when the spec names none."""
    import keras

    return float(
        inspect.signature(getattr(keras.optimizers, OPTIMIZERS[optimizer])).parameters["learning_rate"].default
    )


def _from(given: Given, before: keras.Model | None) -> Callable[[ModelConfig | None], keras.Model]:
    def build(model: ModelConfig | None) -> keras.Model:
        made = given.build(model)
        if before is not None:
            made.set_weights(before.get_weights())
        return made

    return build
