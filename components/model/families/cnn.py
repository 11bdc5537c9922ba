"""Family `cnn`: blocks of convolutions over images, beside all other features, into dense layers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from components.model.image_family import ImageFamily, half_of
from components.model.options import Units


class Cnn(ImageFamily):
    """A convolutional network: per image two convolutions and a pooling per block, then dense layers over everything.

    Use it for images from some hundred rows up, trained from scratch. Ids and dense features go beside what the
    convolutions make of the images; several images get blocks of their own. Take `resnet` for a deeper network.

    Args:
        filters: of the convolutions of each block; each block halves height and width, as long as they are above 1.
        kernel_size: side of the convolutions' window in pixels; 1 to 15, default 3.
        pooling: what becomes of the last block: `max` or `average` of each filter over the image, or `flatten`, which
            keeps where things are, for images in which all is in its place, at the price of many more weights.
        hidden_units: width of each hidden layer behind the convolutions.
        activation: of convolutions and hidden layers.
        dropout: share of what each hidden layer gives that is dropped while training; 0 to below 1.
        spatial_dropout: share of whole filters that is dropped behind each block; None drops as many as `dropout`.
        normalization: of each convolution, before its activation: `batch`, `layer` or `none`.
        l1: times the sum of the absolute weights of convolutions and dense layers, added to the loss; 0 or more.
        l2: times the sum of their squares; 0 or more.
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

    filters: tuple[Units, ...] = Field(default=(32, 64), min_length=1)
    kernel_size: int = Field(default=3, ge=1, le=15)
    pooling: Literal["max", "average", "flatten"] = "max"

    def encode(self, image: Any, name: str) -> Any:
        """Return each filter over the image, or all of them in their places."""
        import keras

        layers = keras.layers
        for block, filters in enumerate(self.filters, start=1):
            for turn in (1, 2):
                image = self.convolved(image, filters, self.kernel_size, f"{name}_{block}_{turn}")
                image = self.activated(image, f"{name}_{block}_{turn}")
            image = layers.MaxPooling2D(half_of(image), name=f"{name}_{block}_pooling")(image)
            image = self.without_filters(image, f"{name}_{block}")
        last = {"average": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D, "flatten": layers.Flatten}
        return last[self.pooling](name=f"{name}_pooled")(image)
