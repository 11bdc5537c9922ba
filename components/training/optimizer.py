"""The optimizer that the spec names, checked against the Keras class."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from components import catalog
from components.errors import ComponentError, Problem
from components.training.config import OPTIMIZERS, TrainingConfig
from components.training.learning_rate import make_schedule
from components.training.schedule_checks import is_schedule, schedule_problems
from components.training.schedules import Length

if TYPE_CHECKING:
    import keras

_SET_ELSEWHERE = {
    "clipnorm": "Set training.gradient_clipping: {norm: …}, which holds for several copies of the model too.",
    "global_clipnorm": "Set training.gradient_clipping: {global_norm: …}, which holds for several copies too.",
    "clipvalue": "Set training.gradient_clipping: {value: …}, which holds for several copies of the model too.",
    "gradient_accumulation_steps": "Set training.gradient_accumulation.",
    "loss_scale_factor": "Set training.precision: mixed_float16, which finds the scale by itself.",
    "use_ema": "Remove it: averages would replace the weights that early stopping and keep have chosen.",
    "ema_momentum": "Remove it, as use_ema.",
    "ema_overwrite_frequency": "Remove it, as use_ema.",
}
"""Arguments that Keras has and a training sets by itself."""


def _keras_class(name: str) -> Any:
    import keras

    return getattr(keras.optimizers, OPTIMIZERS[name])


def check_optimizer(training: TrainingConfig) -> list[Problem]:
    """Return what Keras would not accept of an optimizer's arguments."""
    config = training.optimizer
    at = f"training.optimizer.{config.name}"
    known = tuple(name for name in _arguments(config.name) if name not in _SET_ELSEWHERE)
    problems = []
    for name in config.arguments:
        if name in _SET_ELSEWHERE:
            problems.append(Problem(f"{at}.{name}", repr(name), f"one of {', '.join(known)}", _SET_ELSEWHERE[name]))
        elif name not in known:
            guess = catalog.nearest(name, list(known))
            remedy = f"Did you mean {guess!r}?" if guess else "Remove it."
            problems.append(Problem(f"{at}.{name}", repr(name), f"one of {', '.join(known)}", remedy))
    problems += _rate_problems(config.arguments.get("learning_rate", 1.0), f"{at}.learning_rate")
    if not problems:
        try:
            _keras_class(config.name)(**_keras_arguments(training, Length(1, training.epochs), 1.0))
        except (TypeError, ValueError) as error:
            problems.append(Problem(at, repr(config.arguments), "arguments that Keras accepts", str(error)))
    return problems


def _rate_problems(rate: Any, at: str) -> list[Problem]:
    if is_schedule(rate):
        return schedule_problems(rate, at)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0:
        return [Problem(at, repr(rate), "a number above 0, or a schedule", "Set it to 0.001, say.")]
    return []


def _arguments(name: str) -> tuple[str, ...]:
    named = inspect.signature(_keras_class(name).__init__).parameters
    skipped = {"self", "name", "kwargs"}
    return tuple(name for name in named if name not in skipped)


def _keras_arguments(training: TrainingConfig, length: Length, factor: float) -> dict[str, Any]:
    """Return the arguments of the Keras class: the spec's own, and what other options say of it."""
    config = training.optimizer
    arguments = dict(config.arguments)
    rate = arguments.get("learning_rate")
    if is_schedule(rate):
        arguments["learning_rate"] = make_schedule(rate, length, factor)
    elif factor != 1.0:
        default = inspect.signature(_keras_class(config.name).__init__).parameters["learning_rate"].default
        arguments["learning_rate"] = (default if rate is None else rate) * factor
    if training.weight_decay is not None:
        arguments["weight_decay"] = training.weight_decay
    if training.gradient_clipping is not None:
        name, limit = training.gradient_clipping.only
        arguments[{"norm": "clipnorm", "global_norm": "global_clipnorm", "value": "clipvalue"}[name]] = limit
    if training.gradient_accumulation > 1:
        arguments["gradient_accumulation_steps"] = training.gradient_accumulation
    return arguments


def make_optimizer(training: TrainingConfig, length: Length, factor: float = 1.0) -> keras.optimizers.Optimizer:
    """Return a new Keras optimizer.

    Args:
        training: its name and arguments, and the options that become arguments.
        length: of the training, for schedules.
        factor: what learning rates are multiplied by.

    Raises:
        ComponentError: Keras does not accept its arguments.
    """
    problems = check_optimizer(training)
    if problems:
        raise ComponentError(
            " ".join(str(problem) for problem in problems),
            spec_path=problems[0].where,
            remedy="Correct the optimizer's arguments.",
        )
    return _keras_class(training.optimizer.name)(**_keras_arguments(training, length, factor))
