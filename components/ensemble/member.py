"""One member of an ensemble: a training like any other, with a place and a seed of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from components.engine.progress import report
from components.features import Task
from components.model.config import ModelConfig
from components.training.config import TrainingConfig
from components.training.fit import FitResult, fit
from components.training.input_fn import Split
from components.training.places import Places

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Given:
    """What all members are trained with.

    Args:
        build: from a model's section to a new, uncompiled model; None is that of section `model`.
        config: how each is fitted.
        task: decides loss and metrics.
        train: what to learn from.
        evaluation: what early stopping watches, and what members are compared on.
        places: of the whole training; each member has a folder within.
    """

    build: Callable[[ModelConfig | None], keras.Model]
    config: TrainingConfig
    task: Task
    train: Split
    evaluation: Split
    places: Places = Places()


@dataclass(frozen=True)
class Member:
    """A trained member.

    Args:
        name: what tells it from the others.
        model: uncompiled, named after its number.
        fitted: how it came about.
        share: what its answer is multiplied by, those of all members sum to 1; None in a stack.
    """

    name: str
    model: keras.Model
    fitted: FitResult
    share: float | None


def train_member(given: Given, number: int, name: str, share: float | None, model: ModelConfig | None = None) -> Member:
    """Train a member, or take it from where an attempt that was cut off has left it.

    Args:
        given: what it is trained with; its seed is that of the training plus `number`.
        number: from 0.
        name: what tells it from the others.
        share: what its answer is multiplied by.
        model: None takes that of section `model`.
    """
    own = given.config.model_copy(update={"seed": given.config.seed + number})
    report(given.places.runtime, "Trainer", f"member {number + 1}: {name}")
    fitted = fit(
        lambda: given.build(model), own, given.task, given.train, given.evaluation, _places(given.places, number)
    )
    # a fresh copy has neither optimizer nor loss, which the file of the ensemble would carry for each member
    copy = given.build(model)
    copy.set_weights(fitted.model.get_weights())
    copy.name = f"member_{number + 1}"
    return Member(name, copy, fitted, share)


def name_of(model: ModelConfig | None) -> str:
    """Return what a member is called by its model: `model`, or its family."""
    family = None if model is None else model.family
    return "model" if family is None else family.plugin_name()


def _places(places: Places, number: int) -> Places:
    folder = f"member-{number + 1}"
    kept, logs = places.checkpoint_folder, places.log_folder
    # keep: what is kept elsewhere is one file of one training
    return replace(places, checkpoint_folder=kept and kept / folder, log_folder=logs and logs / folder, keep=None)
