"""Family `cnn`: blocks of convolutions over images, beside all other features, into dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from components.features import ModelInput, Task
from components.model.family import ModelFamily
from components.model.layers import Activation, dense_stack, embedded, head, keras_inputs, output_units

if TYPE_CHECKING:
    import keras

Filters = Annotated[int, Field(ge=1)]

_MOMENTUM = 0.9
"""Of the averages that batch normalization predicts with: Keras' 0.99 is far off after an epoch of 60 steps."""


class Cnn(ModelFamily):
    """A convolutional network: per image two convolutions and a pooling per block, then dense layers over everything.

    Use it for images from some hundred rows up, trained from scratch. Ids and dense features go beside what the
    convolutions make of the images; several images get blocks of their own. Without an image it is an `mlp`.

    Args:
        filters: of the convolutions of each block; each block halves height and width, as long as they are above 1.
        kernel_size: side of the convolutions' window in pixels; 1 to 15, default 3.
        pooling: what becomes of the last block: `max` or `average` of each filter over the image, or `flatten`, which
            keeps where things are, for images in which all is in its place, at the price of many more weights.
        hidden_units: width of each hidden layer behind the convolutions.
        activation: of convolutions and hidden layers.
        dropout: share of what each hidden layer gives, and of whole filters behind each block, that is dropped while
            training.
        batch_normalization: normalize each convolution before its activation.
        embedding_dim: size of every embedding of ids; None chooses one by the number of ids.

    Shapes:
        In `[batch, height, width, channels]` per image, `[batch, width]` per other feature; out `[batch, 1]`, or
        `[batch, classes]` for multiclass tasks.

    Reference:
        Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, 2015,
        https://arxiv.org/abs/1409.1556 (blocks of small convolutions); Lin, Chen, Yan: Network In Network, 2014,
        https://arxiv.org/abs/1312.4400 (global pooling); Ioffe, Szegedy, 2015, https://arxiv.org/abs/1502.03167.

    Example:
        >>> Cnn(filters=(16, 32)).pooling
        'max'
    """

    filters: tuple[Filters, ...] = Field(default=(32, 64), min_length=1)
    kernel_size: int = Field(default=3, ge=1, le=15)
    pooling: Literal["max", "average", "flatten"] = "max"
    hidden_units: tuple[Annotated[int, Field(ge=1)], ...] = (64,)
    activation: Activation = "relu"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    batch_normalization: bool = True
    embedding_dim: int | None = Field(default=None, ge=1)

    def build(self, inputs: Sequence[ModelInput], task: Task, num_classes: int) -> keras.Model:
        """Return an uncompiled model; see `ModelFamily.build`."""
        import keras

        tensors = keras_inputs(inputs)
        images = [each for each in inputs if len(each.shape) == 3]
        others = [each for each in inputs if len(each.shape) != 3]
        parts = [self._convolved(tensors[each.name], each.name) for each in images]
        parts += [embedded(others, tensors, self.embedding_dim)] if others else []
        joined = parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="images_and_features")(parts)
        hidden = dense_stack(joined, self.hidden_units, self.activation, self.dropout, normalize=False)
        logits = keras.layers.Dense(output_units(task, num_classes), name="logits")(hidden)
        return keras.Model(tensors, head(logits, task), name="cnn")

    def _convolved(self, tensor: Any, name: str) -> Any:
        import keras

        layers = keras.layers
        for block, filters in enumerate(self.filters, start=1):
            for turn in (1, 2):
                prefix = f"{name}_{block}_{turn}"
                tensor = layers.Conv2D(
                    filters,
                    self.kernel_size,
                    padding="same",
                    # a bias before batch normalization would be subtracted again
                    use_bias=not self.batch_normalization,
                    name=f"{prefix}_convolution",
                )(tensor)
                if self.batch_normalization:
                    tensor = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{prefix}_normalization")(tensor)
                tensor = layers.Activation(self.activation, name=f"{prefix}_activation")(tensor)
            window = tuple(2 if side > 1 else 1 for side in tensor.shape[1:3])
            tensor = layers.MaxPooling2D(window, name=f"{name}_{block}_pooling")(tensor)
            if self.dropout:
                tensor = layers.SpatialDropout2D(self.dropout, name=f"{name}_{block}_dropout")(tensor)
        last = {"average": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D, "flatten": layers.Flatten}
        return last[self.pooling](name=f"{name}_pooled")(tensor)
