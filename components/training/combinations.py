"""Options of a training that do not go together, each with the reason; read from the spec alone, and light."""

from __future__ import annotations

from collections.abc import Iterator

from components.features import Task
from components.training.config import TrainingConfig
from components.training.schedule_checks import is_schedule

Refused = tuple[str, str, str, str]
"""The option within section `training`, what was received, what was expected, what to do."""

SEVERAL_COPIES = ("mirrored", "multi_worker", "tpu")
"""Strategies that train several copies of the model; `auto` does so on a machine with several GPUs."""


def refused(config: TrainingConfig, task: Task) -> Iterator[Refused]:
    """Yield what cannot work, whatever the data and the machine."""
    yield from _learning_rate(config)
    if config.label_smoothing and task == "regression":
        expected = "a task with classes: a number has none to share with"
        yield "label_smoothing", "label_smoothing with task regression", expected, "Remove it."
    several = config.strategy in SEVERAL_COPIES
    if config.loop is not None:
        yield from refused_with_own_loop(config, several=several)
    elif several:
        yield from refused_with_copies(config)
    if config.strategy == "tpu" and config.precision == "mixed_float16":
        yield "precision", "mixed_float16 on a TPU", "mixed_bfloat16: a TPU has no float16", "Set it to mixed_bfloat16."


def refused_with_copies(config: TrainingConfig) -> Iterator[Refused]:
    """Yield what several copies of the model that learn together cannot do."""
    if config.gradient_accumulation > 1:
        yield (
            "gradient_accumulation",
            f"gradient_accumulation {config.gradient_accumulation} with several copies of the model",
            "1: TensorFlow cannot exchange gradients in only some of the steps",
            "Set a larger batch_size, which the copies share, or training.strategy to none.",
        )
    if config.jit_compile is True:
        yield (
            "jit_compile",
            "jit_compile with several copies of the model",
            "auto or false: XLA cannot compile the exchange between them",
            "Set it to auto, or training.strategy to none.",
        )


def refused_with_own_loop(config: TrainingConfig, *, several: bool) -> Iterator[Refused]:
    """Yield what a training step of the user's own cannot do, on one device or with several copies of the model."""
    if config.gradient_accumulation > 1:
        received, expected = f"gradient_accumulation {config.gradient_accumulation} with training.loop", "1"
        remedy = "Remove it: a step of your own decides when it applies gradients."
        yield "gradient_accumulation", received, expected, remedy
    if config.jit_compile is True:
        remedy = "Remove it, and compile parts of your step with tf.function(jit_compile=True)."
        yield "jit_compile", "jit_compile with training.loop", "auto or false", remedy
    if several and config.gradient_clipping is not None:
        yield (
            "gradient_clipping",
            "it with training.loop and several copies of the model",
            "none: each copy would clip its own part of the gradient",
            "Remove it, or set training.strategy to none.",
        )
    if several and config.precision == "mixed_float16":
        yield (
            "precision",
            "mixed_float16 with training.loop and several copies of the model",
            "mixed_bfloat16 or float32: copies could disagree on which steps to skip",
            "Set it to mixed_bfloat16.",
        )


def _learning_rate(config: TrainingConfig) -> Iterator[Refused]:
    arguments = config.optimizer.arguments
    if config.reduce_learning_rate is not None and is_schedule(arguments.get("learning_rate")):
        expected = "one of them: a schedule sets the rate of every step anew"
        yield "reduce_learning_rate", "it with a learning rate schedule", expected, "Remove one of them."
    if config.weight_decay is not None and "weight_decay" in arguments:
        expected = "it once: training.weight_decay or the optimizer's argument"
        yield "weight_decay", "weight_decay twice", expected, "Remove one of them."
    if config.scale_learning_rate is not None and config.per_replica_batch_size is None:
        expected = "per_replica_batch_size with it: batch_size is of all copies together and does not grow with them"
        yield "scale_learning_rate", "it with a fixed batch_size", expected, "Set per_replica_batch_size, or remove it."
