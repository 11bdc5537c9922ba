"""Bytes of image files to pixels, and pixels to another size, inside the transform graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

LUMA = (0.2989, 0.5870, 0.1140)
"""Weights of red, green and blue in a grey value, of ITU-R BT.601, as in `tf.image.rgb_to_grayscale`."""


def decode(contents: tf.Tensor, size: tuple[int, int], channels: int, method: str, fit: str) -> Any:
    """Return the images of files, and which rows hold one that can be read.

    Args:
        contents: string `[batch]`: JPEG, PNG, GIF (its first frame) or BMP.
        size: height and width to come to.
        channels: 1 or 3.
        method: as in the step `decode_image`.
        fit: as there.

    Returns:
        float32 `[batch, height, width, channels]` from 0 to 255, zeros in rows that cannot be read; boolean `[batch]`.
    """
    rows = tf.size(contents, out_type=tf.int64)
    one = (*size, channels)

    def read(row: Any, content: Any) -> Any:
        # channels=0: each format refuses some other number that its files could be turned into
        pixels = tf.cast(tf.io.decode_image(content, channels=0, expand_animations=False), tf.float32)
        return row, tf.ensure_shape(resize(_with_channels(pixels, channels), size, method, fit), one)

    # TensorFlow has no decoder that says "I cannot" instead of failing the whole batch, but a data set may leave out
    # the elements that fail; each image carries its row, so it does not matter which ones are left.
    numbered = tf.data.Dataset.from_tensor_slices((tf.range(rows), contents))
    images = numbered.map(_as_written(read), num_parallel_calls=tf.data.AUTOTUNE).ignore_errors()
    # one more, so that there is a batch even when no row can be read
    ending = tf.data.Dataset.from_tensors((rows, tf.zeros(one)))
    found, pixels = images.concatenate(ending).batch(rows + 1).get_single_element()
    where = found[:, tf.newaxis]
    shape = tf.concat([[rows + 1], tf.constant(one, tf.int64)], axis=0)
    values = tf.scatter_nd(where, pixels, shape)[:-1]
    present = tf.scatter_nd(where, tf.ones_like(found, tf.int32), [rows + 1])[:-1] > 0
    return tf.ensure_shape(values, [None, *one]), present


def resize(image: tf.Tensor, size: tuple[int, int], method: str, fit: str) -> tf.Tensor:
    """Return images in another size.

    Args:
        image: `[height, width, channels]`, or with a batch in front.
        size: height and width to come to.
        method: how pixels are interpolated; when an image shrinks, all pixels count, not only the nearest.
        fit: `stretch` changes the aspect ratio; `crop` cuts equal parts off two sides first; `pad` puts zeros there.
    """
    if fit == "pad":
        return tf.image.resize_with_pad(image, *size, method=method, antialias=True)
    if fit == "crop":
        image = _cut(image, size)
    return tf.image.resize(image, size, method=method, antialias=True)


def _cut(image: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Return the largest part in the middle that has the aspect ratio of a size."""
    height, width = (tf.shape(image)[axis] for axis in (-3, -2))
    high = tf.minimum(height, tf.maximum(1, width * size[0] // size[1]))
    wide = tf.minimum(width, tf.maximum(1, height * size[1] // size[0]))
    return tf.image.crop_to_bounding_box(image, (height - high) // 2, (width - wide) // 2, high, wide)


def grey(image: tf.Tensor) -> tf.Tensor:
    """Return the brightness of images of three channels, as one channel."""
    return tf.reduce_sum(image * tf.constant(LUMA), axis=-1, keepdims=True)


def _with_channels(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    """Return an image of 1 to 4 channels with the number that is wanted; a channel of opacity is left out."""
    file_channels = tf.shape(pixels)[-1]
    is_grey = file_channels < 3
    sources = tf.where(is_grey, [0, 0, 0], [0, 1, 2])
    colours = tf.gather(pixels, sources, axis=-1)
    if channels == 3:
        return tf.ensure_shape(colours, [None, None, 3])
    weights = tf.where(is_grey, [1.0, 0.0, 0.0], LUMA)
    return tf.reduce_sum(colours * weights, axis=-1, keepdims=True)


def _as_written(function: Any) -> Any:
    return tf.autograph.experimental.do_not_convert(function)
