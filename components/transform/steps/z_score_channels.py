"""Standardise the channels of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from components.transform.step import Kind, TransformStep

if TYPE_CHECKING:
    from components.transform.column import Column


class ZScoreChannels(TransformStep):
    """Subtracts each channel's mean over all pixels of the training images, and divides by its standard deviation.

    Use it for a convolutional network that learns from scratch. `rescale` needs no look at the data and does nearly
    as well. An image that is missing becomes all zeros, which is the mean.

    Shapes:
        image `[batch, height, width, channels]` to the same.

    Reference:
        Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, 2012, section 2,
        subtract the mean per pixel; per channel as in Simonyan, Zisserman 2015, https://arxiv.org/abs/1409.1556.

    Example:
        >>> ZScoreChannels().model_dump()
        {'z_score_channels': {}}
    """

    accepts: ClassVar[frozenset[Kind]] = frozenset({"image"})

    def apply(self, column: Column) -> Column:
        """Return the standardised images."""
        import tensorflow as tf
        import tensorflow_transform as tft

        from components.transform.column import finite_or

        channels = column.values.shape[-1]
        images = tf.boolean_mask(column.values, column.present[:, 0])
        # the variance of all pixels is that between the images and that within them, since all are of one size
        means, within = tf.nn.moments(images, axes=[1, 2])
        mean = finite_or(tf.ensure_shape(tft.mean(means, reduce_instance_dims=False), [channels]), 0.0)
        variance = tft.var(means, reduce_instance_dims=False) + tft.mean(within, reduce_instance_dims=False)
        deviation = tf.sqrt(finite_or(tf.ensure_shape(variance, [channels]), 0.0))
        divisor = tf.where(deviation > 0, deviation, tf.ones_like(deviation))
        scaled = (column.values - mean) / divisor
        return column.with_values(scaled).learning(mean=mean, standard_deviation=deviation)
