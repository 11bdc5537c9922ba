"""Family `resnet`: residual blocks over images, beside all other features, into dense layers."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from components.model.image_family import ImageFamily, half_of
from components.model.options import Units


class Resnet(ImageFamily):
    """A small residual network: each block adds two convolutions of the image to the image itself.

    Use it for images where a `cnn` is not deep enough, with some thousand rows or augmentation. With few rows, or small
    images of one thing in its place, `cnn` does as well and is quicker. The defaults are the paper's network for
    images of 32 x 32 with n = 2: 13 convolutions, and 2 more on shortcuts.

    Args:
        filters: of the convolutions of each stage; each stage but the first halves height and width, down to 1.
        blocks: residual blocks of each stage; 1 to 20.
        first_stride: step of the first convolution in pixels, 1 to 4; 2 or 4 make images from about 100 pixels cheap.
        hidden_units: width of each hidden layer behind the last stage; none by default, as in the paper.
        activation: of convolutions and hidden layers.
        dropout: share of what each hidden layer gives that is dropped while training; 0 to below 1.
        spatial_dropout: share of whole filters that is dropped between the convolutions of a block; None drops as many
            as `dropout`.
        normalization: of each convolution, before its activation: `batch`, `layer` or `none`.
        l1: times the sum of the absolute weights of convolutions and dense layers, added to the loss; 0 or more.
        l2: times the sum of their squares; 0 or more.
        embedding_dim: size of every embedding of ids; None chooses one by the number of ids.

    Shapes:
        In `[batch, height, width, channels]` per image, `[batch, width]` per other feature; out `[batch, 1]`, or
        `[batch, classes]` for multiclass tasks.

    Reference:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2016, https://arxiv.org/abs/1512.03385
        (section 4.2; where sizes differ, a convolution of one pixel takes the shortcut); Zagoruyko, Komodakis: Wide
        Residual Networks, 2016, https://arxiv.org/abs/1605.07146 (dropout between the convolutions).

    Example:
        >>> Resnet(filters=(8, 16)).blocks
        2
    """

    filters: tuple[Units, ...] = Field(default=(16, 32, 64), min_length=1)
    blocks: int = Field(default=2, ge=1, le=20)
    first_stride: int = Field(default=1, ge=1, le=4)
    hidden_units: tuple[Units, ...] = ()

    def encode(self, image: Any, name: str) -> Any:
        """Return the mean of each of the last stage's filters over the image."""
        import keras

        image = self.convolved(image, self.filters[0], 3, f"{name}_first", strides=self.first_stride)
        image = self.activated(image, f"{name}_first")
        for stage, filters in enumerate(self.filters, start=1):
            for block in range(1, self.blocks + 1):
                strides = half_of(image) if block == 1 and stage > 1 else (1, 1)
                image = self._block(image, filters, strides, f"{name}_{stage}_{block}")
        return keras.layers.GlobalAveragePooling2D(name=f"{name}_pooled")(image)

    def _block(self, image: Any, filters: int, strides: tuple[int, int], name: str) -> Any:
        import keras

        inner = self.activated(self.convolved(image, filters, 3, f"{name}_1", strides=strides), f"{name}_1")
        inner = self.convolved(self.without_filters(inner, name), filters, 3, f"{name}_2")
        if strides != (1, 1) or image.shape[-1] != filters:
            image = self.convolved(image, filters, 1, f"{name}_shortcut", strides=strides)
        return self.activated(keras.layers.Add(name=f"{name}_sum")([inner, image]), name)
