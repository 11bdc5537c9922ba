"""Hyperparameters that families share: penalties on weights, normalization, hidden layers with dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from components.config import Section

if TYPE_CHECKING:
    import keras

Activation = Literal["relu", "gelu", "silu", "tanh", "elu", "selu", "leaky_relu"]
Normalization = Literal["batch", "layer", "none"]
Units = Annotated[int, Field(ge=1)]


class Penalties(Section):
    """What large weights cost: added to the loss for each kernel, not for biases, embeddings or normalization.

    Use `l2` against overfitting, `l1` where weights that do not help shall become 0; both together are the elastic net.

    Args:
        l1: times the sum of the absolute weights; 0 or more.
        l2: times the sum of the squared weights; 0 or more.

    Reference:
        Zou, Hastie: Regularization and variable selection via the elastic net, 2005.

    Example:
        >>> Penalties(l2=0.01).l1
        0.0
    """

    l1: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    l2: float = Field(default=0.0, ge=0, allow_inf_nan=False)

    def regularizer(self) -> keras.regularizers.Regularizer | None:
        """Return the penalty as Keras knows it, or None when weights cost nothing."""
        import keras

        return keras.regularizers.L1L2(self.l1, self.l2) if self.l1 or self.l2 else None


class HiddenLayers(Penalties):
    """Dense layers between what is read of the inputs and the answer.

    Args:
        hidden_units: width of each hidden layer; an empty list has none.
        activation: of the hidden layers.
        dropout: share of each hidden layer's outputs that is dropped while training; 0 to below 1.

    Reference:
        Srivastava et al.: Dropout, 2014.

    Example:
        >>> HiddenLayers(hidden_units=[8]).hidden_units
        (8,)
    """

    hidden_units: tuple[Units, ...] = (64, 32)
    activation: Activation = "relu"
    dropout: float = Field(default=0.0, ge=0, lt=1)


class Normalized(Section):
    """Whether what layers give is brought to one scale, before their activation.

    Args:
        normalization: `batch` over the rows of a batch, by moving averages when predicting; `layer` over the outputs of
            one row, which small batches do not disturb; `none`. `batch_normalization: true` is the older spelling of
            `batch`.

    Reference:
        Ioffe, Szegedy: Batch Normalization, 2015, https://arxiv.org/abs/1502.03167; Ba, Kiros, Hinton: Layer
        Normalization, 2016, https://arxiv.org/abs/1607.06450.

    Example:
        >>> Normalized(batch_normalization=True).normalization
        'batch'
    """

    normalization: Normalization = "none"

    @model_validator(mode="before")
    @classmethod
    def _older_spelling(cls, written: Any) -> Any:
        if not isinstance(written, dict) or "batch_normalization" not in written:
            return written
        old = written["batch_normalization"]
        if not isinstance(old, bool):
            raise ValueError(f"batch_normalization is true or false, got {old!r}; write normalization: batch")
        if "normalization" in written:
            raise ValueError("batch_normalization is the older spelling of normalization; leave it out")
        rest = {key: value for key, value in written.items() if key != "batch_normalization"}
        return {**rest, "normalization": "batch" if old else "none"}
