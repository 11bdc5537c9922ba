"""Section `training`: how the model is fitted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from components.config import Section
from components.training.callback_config import (
    BestConfig,
    CallbacksConfig,
    CheckpointConfig,
    EarlyStoppingConfig,
    ReduceLearningRateConfig,
)
from components.training.loop_config import LoopConfig

OPTIMIZERS = {
    "adam": "Adam",
    "adamw": "AdamW",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "ftrl": "Ftrl",
    "lion": "Lion",
    "nadam": "Nadam",
    "adamax": "Adamax",
    "adadelta": "Adadelta",
    "adafactor": "Adafactor",
    "lamb": "Lamb",
    "muon": "Muon",
}
"""Name in a spec to the class of Keras."""


class OptimizerConfig(Section):
    """A Keras optimizer by its name, with its arguments.

    In YAML `adam` or `{adam: {learning_rate: 0.001}}`. The rate may be a schedule of Keras by its name, with a warm-up
    before it: `learning_rate: {cosine_decay: {initial_learning_rate: 0.001}, warm_up: {epochs: 1}}`; see
    `components.training.learning_rate`.

    Args:
        name: one of adam, adamw, sgd, rmsprop, adagrad, ftrl, lion, nadam, adamax, adadelta, adafactor, lamb, muon.
        arguments: keyword arguments of the Keras class; checked against it before the run.
    """

    name: Literal[
        "adam",
        "adamw",
        "sgd",
        "rmsprop",
        "adagrad",
        "ftrl",
        "lion",
        "nadam",
        "adamax",
        "adadelta",
        "adafactor",
        "lamb",
        "muon",
    ] = "adam"
    arguments: dict[str, Any] = {}


class GradientClippingConfig(Section):
    """Limit gradients before each step; one of the three.

    Args:
        norm: largest L2 norm of the gradient of one variable, over 0.
        global_norm: largest L2 norm of all gradients together, over 0.
        value: largest absolute value of a gradient's element, over 0.

    Reference:
        Pascanu, Mikolov and Bengio (2013): On the difficulty of training recurrent neural networks.
    """

    norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    global_norm: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    value: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @property
    def only(self) -> tuple[str, float]:
        """The one that is given, and its limit."""
        ((name, limit),) = ((name, value) for name, value in self if value is not None)
        return name, limit

    @model_validator(mode="after")
    def _one(self) -> GradientClippingConfig:
        if sum(value is not None for _, value in self) != 1:
            raise ValueError("one of norm, global_norm and value")
        return self


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
        batch_size: rows per step, of all copies of the model together.
        per_replica_batch_size: rows per step of each copy, instead of `batch_size`; the step has as many times more as
            there are copies.
        scale_learning_rate: `linear` multiplies learning rates by the number of copies, as their batch grows with
            `per_replica_batch_size` (Goyal et al. 2017); None leaves them.
        optimizer: a Keras optimizer.
        gradient_clipping: None limits no gradient.
        weight_decay: part of each weight, times the learning rate, that is taken off at each step, from 0 (Loshchilov
            and Hutter 2019); None leaves it to the optimizer.
        gradient_accumulation: batches whose gradients are averaged before a step is made.
        strategy: `auto` takes every local GPU there is; `none` stays on one device; `mirrored` copies the model to all
            local GPUs; `multi_worker` trains in as many processes or pods as `resources.trainer.workers` says; `tpu`
            takes the TPU slice of its pool.
        early_stopping: None trains all epochs.
        keep: weights of which epoch the model ends with: `best`, or `{best: val_auc}` by another name than the loss of
            the eval split; `last`; `auto` is the best with early stopping, by what it watches, and the last without.
        reduce_learning_rate: None keeps the learning rate.
        callbacks: the user's own.
        loop: the user's own training step; None takes that of Keras's `fit`.
        checkpoint: where inside an epoch a training that is cut off goes on, besides after each whole one.
        precision: `mixed_bfloat16` and `mixed_float16` compute in 16 bits and keep weights in 32; what is exported
            computes in 32 bits.
        jit_compile: compile the step with XLA; `auto` does so where Keras does, on one device.
        steps_per_execution: training steps per call into TensorFlow; `auto` chooses by the number of steps.
        seed: of weights, shuffling and dropout.
        tensorboard: write TensorBoard logs beside the model run.
        cache: keep the training split in memory; `auto` while it fits.
        class_weights: what a row counts in the loss, by its class: `balanced` lets all classes count alike,
            `{CLASS: WEIGHT}` names those that do not count 1 (0 and 1 are the classes of a binary task). Also the loss
            of the eval split, which early stopping watches, is weighted.
        loss: `auto` is cross-entropy, and mean squared error for regression; or `focal`.
        label_smoothing: part of each label that is spread evenly over all classes, 0 to below 1 (Szegedy et al. 2016).
        correct_probabilities: the exported model undoes what class weights and the focal loss do to its probabilities,
            which else are far from what really happens. See `components.training.calibration`.
    """

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=512, ge=1)
    per_replica_batch_size: int | None = Field(default=None, ge=1)
    scale_learning_rate: Literal["linear"] | None = None
    optimizer: OptimizerConfig = OptimizerConfig()
    gradient_clipping: GradientClippingConfig | None = None
    weight_decay: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    gradient_accumulation: int = Field(default=1, ge=1)
    strategy: Literal["auto", "none", "mirrored", "multi_worker", "tpu"] = "auto"
    early_stopping: EarlyStoppingConfig | None = None
    keep: Literal["auto", "best", "last"] | BestConfig = "auto"
    reduce_learning_rate: ReduceLearningRateConfig | None = None
    callbacks: CallbacksConfig | None = None
    loop: LoopConfig | None = None
    checkpoint: CheckpointConfig = CheckpointConfig(every_minutes=5)
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    jit_compile: bool | Literal["auto"] = "auto"
    steps_per_execution: int | Literal["auto"] = "auto"
    seed: int = Field(default=0, ge=0)
    tensorboard: bool = True
    cache: Literal["auto", "always", "never"] = "auto"
    class_weights: Literal["balanced"] | dict[str, ClassWeight] | None = None
    loss: Literal["auto"] | LossConfig = "auto"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    correct_probabilities: bool = True

    @property
    def focal(self) -> FocalConfig | None:
        """The parameters of the focal loss, when that is the loss."""
        return self.loss.focal if isinstance(self.loss, LossConfig) else None

    @property
    def best(self) -> BestConfig | None:
        """What decides which epoch's weights are kept; None keeps the last."""
        if isinstance(self.keep, BestConfig):
            return self.keep
        if self.keep == "last" or (self.keep == "auto" and self.early_stopping is None):
            return None
        early = self.early_stopping
        return BestConfig() if early is None else BestConfig(best=early.monitor, mode=early.mode)

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
