"""Augmentation step `feature_dropout`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.input_step import InputStep
from components.augmentation.step import Facts, Kind
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class FeatureDropout(InputStep):
    """Hides single inputs of a row, as if their values were missing.

    Use it so that a model does not lean on one feature, above all one that will often be missing in requests. Do not
    use it where a row makes sense only as a whole.

    Args:
        rate: chance that an input of a row is hidden, over 0 and below 1; drawn for each input and row by itself.
        inputs: names of the inputs; default: all but texts and images.
        fraction: share of rows that it is tried on, over 0 to 1.

    Shapes:
        numbers `[batch, 1]` and vectors `[batch, width]` to 0, which is the mean after `z_score`; ids `[batch, 1]` to
        the last id. That is the id of missing values where a chain leaves them missing, else the one of rare values
        (the last OOV bucket of `vocabulary`). The spec loader refuses chains of ids that have neither.

    Reference:
        Volkovs, Yu, Poutanen (2017): DropoutNet: Addressing cold start in recommender systems.

    Example:
        >>> FeatureDropout(rate=0.1).rate
        0.1
    """

    shorthand: ClassVar[str | None] = "rate"
    accepts: ClassVar[frozenset[Kind]] = frozenset({"number", "vector", "ids"})
    hides: ClassVar[bool] = True
    rate: float = Field(default=0.1, gt=0, lt=1)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        hidden = draws.uniform([tf.shape(values)[0], *[1] * len(model_input.shape)]) < self.rate
        nothing = 0 if model_input.cardinality is None else model_input.cardinality - 1
        return tf.where(hidden, tf.constant(nothing, values.dtype), values)
