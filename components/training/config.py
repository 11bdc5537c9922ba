"""Section `training`: how the model is fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

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


class FocalConfig(Section):
    """The focal loss: rows that the model already gets right count less.

    In YAML `loss: focal` or `loss: {focal: {gamma: 2, alpha: 0.75}}`.

    Args:
        gamma: how fast a row's part shrinks with the probability of its class, `(1 - p) ** gamma`, 0 to 10; 0 is
            cross-entropy.
        alpha: weight of class 1 of a binary task, over 0 and below 1; class 0 has `1 - alpha`. None weighs both alike.

    Reference:
        Lin, Goyal, Girshick, He, Dollár (2017): Focal loss for dense object detection.
    """

    gamma: float = Field(default=2.0, ge=0, le=10)
    alpha: float | None = Field(default=None, gt=0, lt=1)


class LossConfig(Section):
    """A loss with parameters, by its name."""

    focal: FocalConfig


ClassWeight = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


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
        class_weights: what a row counts in the loss, by its class: `balanced` lets all classes count alike,
            `{CLASS: WEIGHT}` names those that do not count 1 (0 and 1 are the classes of a binary task). Also the loss
            of the eval split, which early stopping watches, is weighted.
        loss: `auto` is cross-entropy, and mean squared error for regression; or `focal`.
        correct_probabilities: the exported model undoes what class weights and the focal loss do to its probabilities,
            which else are far from what really happens. See `components.training.calibration`.
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
    class_weights: Literal["balanced"] | dict[str, ClassWeight] | None = None
    loss: Literal["auto"] | LossConfig = "auto"
    correct_probabilities: bool = True

    @property
    def focal(self) -> FocalConfig | None:
        """The parameters of the focal loss, when that is the loss."""
        return self.loss.focal if isinstance(self.loss, LossConfig) else None

    @field_validator("loss", mode="before")
    @classmethod
    def _loss_forms(cls, written: Any) -> Any:
        if isinstance(written, str):
            if written not in {"auto", "focal"}:
                raise ValueError(f"auto, focal or focal: {{gamma: …, alpha: …}}, not {written!r}")
            return {"focal": {}} if written == "focal" else written
        return {"focal": written["focal"] or {}} if isinstance(written, dict) and set(written) == {"focal"} else written

    @field_validator("class_weights", mode="before")
    @classmethod
    def _class_names(cls, written: Any) -> Any:
        if isinstance(written, str) and written != "balanced":
            raise ValueError(f"balanced, or a weight for each class: {{CLASS: WEIGHT}}, not {written!r}")
        if not isinstance(written, dict):
            return written
        if not written:
            raise ValueError("a weight for at least one class; leave class_weights out to weigh all alike")
        # YAML reads 1 as a number and true as a boolean; a class is known by its text
        return {str(int(name)) if isinstance(name, bool) else str(name): weight for name, weight in written.items()}

    @model_validator(mode="after")
    def _weighted_once(self) -> TrainingConfig:
        if self.class_weights is not None and self.focal is not None and self.focal.alpha is not None:
            raise ValueError("class_weights or loss.focal.alpha, not both: each says what a class counts")
        return self

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
