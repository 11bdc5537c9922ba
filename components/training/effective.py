"""What a training's options come to on the devices that it has, and which of them cannot work there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.errors import ComponentError
from components.features import ModelInput
from components.training.combinations import refused_with_copies, refused_with_own_loop
from components.training.config import TrainingConfig
from components.training.distribution import Distribution
from components.training.schedules import Length

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Effective:
    """The options with the number of copies put in.

    Args:
        config: with the rows of a whole batch as `batch_size`.
        length: of the training.
        replicas: copies of the model.
        rate_factor: what learning rates are multiplied by.
    """

    config: TrainingConfig
    length: Length
    replicas: int
    rate_factor: float

    @classmethod
    def of(cls, config: TrainingConfig, distribution: Distribution, rows: int) -> Effective:
        """Return what a config comes to.

        Args:
            config: of the spec.
            distribution: where the model is fitted.
            rows: of the training split.

        Raises:
            ComponentError: an option cannot be obeyed here.
        """
        replicas, each = distribution.replicas, config.per_replica_batch_size
        batch = config.batch_size if each is None else each * replicas
        length = Length(-(-rows // batch), config.epochs)
        if distribution.strategy is not None:
            found = (
                refused_with_copies(config)
                if config.loop is None
                else refused_with_own_loop(config, several=replicas > 1)
            )
            for option, received, expected, remedy in found:
                raise ComponentError(
                    f"Got {received}; expected {expected}.", spec_path=f"training.{option}", remedy=remedy
                )
        if config.gradient_accumulation > length.steps:
            raise ComponentError(
                f"gradient_accumulation {config.gradient_accumulation} is more than the {length.steps} batches of the "
                "whole training: no step would be made.",
                spec_path="training.gradient_accumulation",
                remedy=f"Set it to {length.steps} or less, or lower training.batch_size.",
            )
        factor = float(replicas) if config.scale_learning_rate == "linear" else 1.0
        return cls(config.model_copy(update={"batch_size": batch}), length, replicas, factor)

    def settings(self, *, jit_compiled: bool) -> dict[str, Any]:
        """Return what the history says of them."""
        return {
            "batch_size": self.config.batch_size,
            "replicas": self.replicas,
            "learning_rate_scale": self.rate_factor,
            "precision": self.config.precision,
            "jit_compiled": jit_compiled,
        }


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Build layers with a dtype policy, and put the former one back."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def check_output(model: keras.Model, inputs: Sequence[ModelInput], name: str) -> None:
    """Refuse a model that predicts in 16 bits, whose probabilities have two or three digits.

    Raises:
        ComponentError: it does; only a user's own model can.
    """
    import keras

    if name == "float32":
        return
    rows = {each.name: keras.ops.zeros((1, *each.shape), dtype=each.dtype) for each in inputs}
    found = keras.backend.standardize_dtype(model(rows, training=False).dtype)
    if found != "float32":
        raise ComponentError(
            f"The model's output is {found} with training.precision {name}: too coarse for probabilities and the loss.",
            spec_path="training.precision",
            remedy="Give the model's last layer dtype='float32', or set precision to float32.",
        )
