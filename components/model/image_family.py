"""What families that look at images have in common: encode each image, put other features beside."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from components.features import ModelInput
from components.model.encoder_family import EncoderFamily
from components.model.family import Refusal
from components.model.layers import normalized
from components.model.options import Normalization, Units


class ImageFamily(EncoderFamily):
    """Looks at images, each `[batch, height, width, channels]`.

    Args:
        hidden_units: width of each hidden layer behind the encoders.
        dropout: share of each hidden layer's outputs that is dropped while training.
        spatial_dropout: share of filters that are dropped in the whole image; None drops as many as `dropout`.
        normalization: of each convolution, before its activation: `batch`, `layer` or `none`.
    """

    hidden_units: tuple[Units, ...] = (64,)
    spatial_dropout: float | None = Field(default=None, ge=0, lt=1)
    normalization: Normalization = "batch"

    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:
        """Return why there is nothing to look at."""
        if any(len(each.shape) == 3 for each in inputs):
            return None
        received = f"no image among the inputs {', '.join(each.name for each in inputs)}"
        remedy = "Declare a feature as image: its chain begins with decode_image; for other data choose mlp."
        return received, f"one, for {self.plugin_name()} to look at", remedy

    def encoded(self, inputs: Sequence[ModelInput], tensors: Mapping[str, Any]) -> tuple[list[Any], list[ModelInput]]:
        """Return what is said of each image, and the other inputs."""
        images = [each for each in inputs if len(each.shape) == 3]
        others = [each for each in inputs if len(each.shape) != 3]
        return [self.encode(tensors[each.name], each.name) for each in images], others

    @abstractmethod
    def encode(self, image: Any, name: str) -> Any:
        """Return what is said of an image.

        Args:
            image: `[batch, height, width, channels]`.
            name: begins the names of its layers.

        Shapes:
            `[batch, width]`.
        """

    def convolved(self, image: Any, filters: int, size: int, name: str, *, strides: Any = 1) -> Any:
        """Return the image after a convolution and its normalization."""
        import keras

        convolution = keras.layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding="same",
            # a bias before batch normalization would be subtracted again
            use_bias=self.normalization != "batch",
            kernel_regularizer=self.regularizer(),
            name=f"{name}_convolution",
        )
        return normalized(convolution(image), self.normalization, f"{name}_normalization")

    def activated(self, image: Any, name: str) -> Any:
        """Return the image after the activation."""
        import keras

        return keras.layers.Activation(self.activation, name=f"{name}_activation")(image)

    def without_filters(self, image: Any, name: str) -> Any:
        """Return the image after spatial dropout, if there is any."""
        import keras

        rate = self.dropout if self.spatial_dropout is None else self.spatial_dropout
        return keras.layers.SpatialDropout2D(rate, name=f"{name}_dropout")(image) if rate else image


def half_of(image: Any) -> tuple[int, int]:
    """Return steps that halve an image's sides, as long as they are above 1."""
    height, width = (2 if side > 1 else 1 for side in image.shape[1:3])
    return height, width
