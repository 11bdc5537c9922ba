"""Augmentation step `mix_up`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from components.augmentation.mixing import MixingStep
from components.augmentation.step import Batch, Kind

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class MixUp(MixingStep):
    """Blends each row with another one of its batch, inputs and label by the same share.

    Use it against overconfidence and noisy labels, on images, series and tables of numbers. Do not use it with inputs
    that are ids, which have no values between them, or where a blend of two rows makes no sense.

    Args:
        alpha: shares are drawn from Beta(alpha, alpha), over 0; the paper takes 0.1 to 0.4 for ImageNet, 1 for CIFAR.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        numbers, vectors and images to the same; the label `[batch, 1]` to `[batch, classes]` in multiclass tasks, else
        to `[batch, 1]` between the two labels.

    Raises:
        ComponentError: before training, when an input holds ids.

    Reference:
        Zhang, Cisse, Dauphin, Lopez-Paz (2018): mixup: Beyond empirical risk minimization. Every row draws its own
        share.

    Example:
        >>> MixUp(alpha=0.4).mixes
        True
    """

    accepts: ClassVar[frozenset[Kind]] = frozenset({"image", "vector", "number"})

    def mix(self, batch: Batch, draws: Draws, share: Any, partner: Any) -> tuple[dict[str, Any], Any]:  # noqa: ARG002
        import tensorflow as tf

        found = {}
        for name, values in batch.features.items():
            own = tf.reshape(share, [-1, *[1] * (len(values.shape) - 1)])
            found[name] = own * values + (1 - own) * tf.gather(values, partner)
        return found, share
