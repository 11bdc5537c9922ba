"""The optimizer that the spec names, checked against the Keras class."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from components import catalog
from components.errors import ComponentError, Problem
from components.training.config import OptimizerConfig

if TYPE_CHECKING:
    import keras

_KERAS_NAMES = {
    "adam": "Adam",
    "adamw": "AdamW",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "ftrl": "Ftrl",
    "lion": "Lion",
}


def _keras_class(name: str) -> Any:
    import keras

    return getattr(keras.optimizers, _KERAS_NAMES[name])


def check_optimizer(config: OptimizerConfig) -> list[Problem]:
    """Return what Keras would not accept of an optimizer's arguments."""
    at = "training.optimizer"
    known = _arguments(config)
    problems = []
    for name in config.arguments:
        if name not in known:
            guess = catalog.nearest(name, list(known))
            remedy = f"Did you mean {guess!r}?" if guess else "Remove it."
            problems.append(Problem(f"{at}.{config.name}.{name}", repr(name), f"one of {', '.join(known)}", remedy))
    rate = config.arguments.get("learning_rate", 1.0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0:
        where = f"{at}.{config.name}.learning_rate"
        problems.append(Problem(where, repr(rate), "a number above 0", "Set it to 0.001, say."))
    if not problems:
        try:
            _keras_class(config.name)(**config.arguments)
        except (TypeError, ValueError) as error:
            problems.append(
                Problem(f"{at}.{config.name}", repr(config.arguments), "arguments that Keras accepts", str(error))
            )
    return problems


def _arguments(config: OptimizerConfig) -> tuple[str, ...]:
    named = inspect.signature(_keras_class(config.name).__init__).parameters
    skipped = {"self", "name", "kwargs"}
    return tuple(name for name in named if name not in skipped)


def make_optimizer(config: OptimizerConfig) -> keras.optimizers.Optimizer:
    """Return a new Keras optimizer.

    Raises:
        ComponentError: Keras does not accept its arguments.
    """
    problems = check_optimizer(config)
    if problems:
        raise ComponentError(
            " ".join(str(problem) for problem in problems),
            spec_path=problems[0].where,
            remedy="Correct the optimizer's arguments.",
        )
    return _keras_class(config.name)(**config.arguments)
