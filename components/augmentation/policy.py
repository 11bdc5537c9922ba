"""The fourteen operations that RandAugment draws from, each on a whole batch of images from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from components.augmentation.images import grey, moved, per_image

LEVELS = 256
"""Steps of brightness that an image is taken to have."""

Operation = Callable[[Any, Any], Any]
"""Images and a signed strength `[batch]` from -1 to 1, to images."""


def rotate(images: Any, strength: Any) -> Any:
    """Turn by up to 30 degrees."""
    import tensorflow as tf

    angle = strength * math.radians(30)
    still = tf.zeros_like(angle)
    return _filled(images, (tf.cos(angle), -tf.sin(angle), tf.sin(angle), tf.cos(angle)), (still, still))


def shear_x(images: Any, strength: Any) -> Any:
    """Slant to the side by up to 0.3 of the height."""
    nothing = strength * 0
    return _filled(images, (nothing + 1, strength * 0.3, nothing, nothing + 1), (nothing, nothing))


def shear_y(images: Any, strength: Any) -> Any:
    """Slant up or down by up to 0.3 of the width."""
    nothing = strength * 0
    return _filled(images, (nothing + 1, nothing, strength * 0.3, nothing + 1), (nothing, nothing))


def translate_x(images: Any, strength: Any) -> Any:
    """Move to the side by up to 0.45 of the width."""
    nothing = strength * 0
    return _filled(images, (nothing + 1, nothing, nothing, nothing + 1), (strength * 0.45 * images.shape[2], nothing))


def translate_y(images: Any, strength: Any) -> Any:
    """Move up or down by up to 0.45 of the height."""
    nothing = strength * 0
    return _filled(images, (nothing + 1, nothing, nothing, nothing + 1), (nothing, strength * 0.45 * images.shape[1]))


def color(images: Any, strength: Any) -> Any:
    """Make colours up to 1.9 times as strong, or as pale as 0.1 times."""
    return _blended(grey(images), images, strength)


def contrast(images: Any, strength: Any) -> Any:
    """Move away from the mean brightness or towards it."""
    import tensorflow as tf

    return _blended(tf.reduce_mean(grey(images), axis=[1, 2, 3], keepdims=True), images, strength)


def brightness(images: Any, strength: Any) -> Any:
    """Multiply by 0.1 to 1.9."""
    return _blended(0.0, images, strength)


def sharpness(images: Any, strength: Any) -> Any:
    """Move away from the smoothed image or towards it."""
    import tensorflow as tf

    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13
    kernel = tf.tile(kernel[:, :, None, None], [1, 1, images.shape[-1], 1])
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return _blended(tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID"), images, strength)


def posterize(images: Any, strength: Any) -> Any:
    """Leave 8 to 4 bits of brightness."""
    import tensorflow as tf

    step = per_image(2.0 ** tf.round(tf.abs(strength) * 4))
    return tf.floor(tf.round(images * (LEVELS - 1)) / step) * step / (LEVELS - 1)


def solarize(images: Any, strength: Any) -> Any:
    """Turn what is brighter than a threshold into its negative; the threshold falls from 1 to 0."""
    import tensorflow as tf

    return tf.where(images > 1 - per_image(tf.abs(strength)), 1 - images, images)


def auto_contrast(images: Any, strength: Any) -> Any:  # noqa: ARG001
    """Stretch each channel from 0 to 1."""
    import tensorflow as tf

    low, high = (f(images, axis=[1, 2], keepdims=True) for f in (tf.reduce_min, tf.reduce_max))
    return tf.where(high > low, tf.math.divide_no_nan(images - low, high - low), images)


def equalize(images: Any, strength: Any) -> Any:  # noqa: ARG001
    """Give each channel as many dark as bright pixels: its values are replaced by how many are not brighter."""
    import tensorflow as tf

    height, width, channels = images.shape[1:]
    levels = tf.reshape(tf.transpose(tf.round(images * (LEVELS - 1)), [0, 3, 1, 2]), [-1, height * width])
    below = tf.cast(tf.searchsorted(tf.sort(levels, axis=1), levels, side="right"), tf.float32)
    darkest = tf.reduce_min(below, axis=1, keepdims=True)
    flat = tf.math.divide_no_nan(below - darkest, height * width - darkest)
    found = tf.transpose(tf.reshape(flat, [-1, channels, height, width]), [0, 2, 3, 1])
    return tf.where(tf.reduce_max(found, axis=[1, 2], keepdims=True) > 0, found, images)


def identity(images: Any, strength: Any) -> Any:  # noqa: ARG001
    """Leave the image as it is."""
    return images


OPERATIONS: tuple[Operation, ...] = (
    identity,
    auto_contrast,
    equalize,
    rotate,
    solarize,
    color,
    posterize,
    contrast,
    brightness,
    sharpness,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
)


def _filled(images: Any, matrix: Any, shift: Any) -> Any:
    return moved(images, matrix, shift, "constant", 0.5)


def _blended(other: Any, images: Any, strength: Any) -> Any:
    import tensorflow as tf

    return tf.clip_by_value(other + (images - other) * per_image(1 + 0.9 * strength), 0.0, 1.0)
