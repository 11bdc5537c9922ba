"""The steps of a spec as one function from batch to batch, for the `tf.data` of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from components.augmentation.config import AugmentationConfig
from components.augmentation.step import Batch, Facts, Refusal
from components.errors import ComponentError

if TYPE_CHECKING:
    import numpy as np


class Augmenter:
    """Applies all steps to the batches of a training.

    What it draws follows from the seed, the epoch, the batch's number in it, and the step's place in the list: a run
    that is repeated, or goes on after a crash, gets the same batches. It holds nothing that the model is exported with.

    Args:
        config: the steps.
        facts: what steps may know besides the batch.
        seed: of the whole training.

    Raises:
        ComponentError: a step does not fit the model's inputs; says which.
    """

    def __init__(self, config: AugmentationConfig, facts: Facts, seed: int) -> None:
        self.steps = config.steps
        self.mixes = config.mixes
        self.facts = facts
        self.seed = seed
        for place, step in enumerate(self.steps):
            if refusal := step.refuses(facts.inputs):
                raise _error(place, refusal)

    def check(self, features: Mapping[str, np.ndarray]) -> None:
        """Refuse values that a step cannot work on.

        Args:
            features: some rows, as the model receives them without augmentation.

        Raises:
            ComponentError: says which step and which input.
        """
        for place, step in enumerate(self.steps):
            for each in step.chosen(self.facts.inputs):
                if refusal := step.check(each.name, features[each.name]):
                    raise _error(place, refusal)

    def prepare(self, rows: Callable[[], Iterator[Mapping[str, np.ndarray]]], said: Callable[[int, int], None]) -> None:
        """Let steps look at the train split once; called before the first batch.

        Args:
            rows: returns the model inputs of all rows, as the model receives them without augmentation.
            said: called with how much of a step's work is done, and how much there is.

        Raises:
            ComponentError: says which step, and what it could not do.
        """
        for place, step in enumerate(self.steps):
            try:
                found = step.prepare(rows, self.facts, said)
            except ComponentError as error:
                where = f"augmentation.{place}"
                raise ComponentError(error.message, spec_path=where, remedy=error.remedy) from error
            if found is not None:
                self.facts = replace(self.facts, prepared={**self.facts.prepared, step: found})

    def __call__(self, batch: tuple[Any, ...], epoch: Any, number: Any, copy: Any = 0) -> tuple[Any, ...]:
        """Return the changed batch.

        Args:
            batch: `(features, label)` or `(features, label, weight)`.
            epoch: from 0, an integer or a scalar tensor.
            number: the batch's number in its epoch, from 0.
            copy: which part of the batch it is, when several copies of the model share it.
        """
        import tensorflow as tf

        from components.augmentation.draws import Draws

        seed = tf.stack([tf.cast(each, tf.int64) for each in (self.seed, epoch)])
        draws = Draws(seed).of(number).of(copy)
        features, label, *weight = batch
        found = Batch(dict(features), label, weight[0] if weight else None)
        for place, step in enumerate(self.steps):
            found = step.apply(found, draws.of(place), self.facts)
        return (found.features, found.label) if found.weight is None else (found.features, found.label, found.weight)


def _error(place: int, refusal: Refusal) -> ComponentError:
    received, expected, remedy = refusal
    return ComponentError(f"Got {received}; expected {expected}.", spec_path=f"augmentation.{place}", remedy=remedy)
