"""Section `training`: how the model is fitted."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from components.config import Section

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop", "adagrad", "ftrl", "lion")


class OptimizerConfig(Section):
    """A Keras optimizer by its name, with its arguments.

    In YAML `adam` or `{adam: {learning_rate: 0.001}}`.

    Args:
        name: one of adam, adamw, sgd, rmsprop, adagrad, ftrl, lion.
        arguments: keyword arguments of the Keras class; checked against it before the run.
    """

    name: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad", "ftrl", "lion"] = "adam"
    arguments: dict[str, Any] = {}


class EarlyStoppingConfig(Section):
    """Stop when the evaluation loss no longer improves; the best weights are kept.

    Args:
        patience: epochs without improvement to wait for.
        min_delta: smallest change that counts as improvement.
        monitor: name of the watched quantity in the Keras history.
    """

    patience: int = Field(default=3, ge=0)
    min_delta: float = Field(default=0.0, ge=0)
    monitor: str = "val_loss"


class ReduceLearningRateConfig(Section):
    """Multiply the learning rate by `factor` when the evaluation loss stalls.

    Args:
        patience: epochs without improvement to wait for.
        factor: what the learning rate is multiplied by.
        minimum: the learning rate never goes below it.
    """

    patience: int = Field(default=2, ge=0)
    factor: float = Field(default=0.5, gt=0, lt=1)
    minimum: float = Field(default=0.0, ge=0)


class TrainingConfig(Section):
    """How the model is fitted.

    Args:
        epochs: passes over the training split.
        batch_size: rows per step.
        optimizer: a Keras optimizer.
        strategy: `auto` takes every local GPU there is; `none` stays on one device; `mirrored` copies the model to all
            local GPUs; `multi_worker` trains in as many processes or pods as `resources.trainer.workers` says; `tpu`
            takes the TPU slice of its pool.
        early_stopping: None trains all epochs.
        reduce_learning_rate: None keeps the learning rate.
        steps_per_execution: training steps per call into TensorFlow; `auto` chooses by the number of steps.
        seed: of weights, shuffling and dropout.
        tensorboard: write TensorBoard logs beside the model run.
        cache: keep the training split in memory; `auto` while it fits.
    """

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=512, ge=1)
    optimizer: OptimizerConfig = OptimizerConfig()
    strategy: Literal["auto", "none", "mirrored", "multi_worker", "tpu"] = "auto"
    early_stopping: EarlyStoppingConfig | None = None
    reduce_learning_rate: ReduceLearningRateConfig | None = None
    steps_per_execution: int | Literal["auto"] = "auto"
    seed: int = Field(default=0, ge=0)
    tensorboard: bool = True
    cache: Literal["auto", "always", "never"] = "auto"

    @field_validator("optimizer", mode="before")
    @classmethod
    def _optimizer_forms(cls, written: Any) -> Any:
        if isinstance(written, str):
            return {"name": written}
        if isinstance(written, dict) and len(written) == 1 and "name" not in written:
            ((name, arguments),) = written.items()
            if name not in OPTIMIZERS:
                raise ValueError(f"unknown optimizer {name!r}; known: {', '.join(OPTIMIZERS)}")
            return {"name": name, "arguments": arguments or {}}
        return written
