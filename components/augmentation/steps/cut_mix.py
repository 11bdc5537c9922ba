"""Augmentation step `cut_mix`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import IMAGE
from components.augmentation.mixing import MixingStep, inside_box
from components.augmentation.step import Batch, Kind, Refusal
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class CutMix(MixingStep):
    """Pastes a box of another image of the batch into each image; the label follows the box's area.

    Use it on photographs, where a part still shows what the picture is of. Do not use it where the classes can only be
    told from the whole image.

    Args:
        alpha: the area that an image keeps is drawn from Beta(alpha, alpha), over 0; the paper takes 1.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        one input of images `[batch, height, width, channels]` to the same; the label `[batch, 1]` to `[batch, classes]`
        in multiclass tasks, else to `[batch, 1]` between the two labels.

    Raises:
        ComponentError: before training, when the model has another input than one of images.

    Reference:
        Yun and others (2019): CutMix: Regularization strategy to train strong classifiers with localizable features.

    Example:
        >>> CutMix().alpha
        1.0
    """

    accepts: ClassVar[frozenset[Kind]] = IMAGE
    alpha: float = Field(default=1.0, gt=0, allow_inf_nan=False)

    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:
        if len(inputs) > 1 and super().refuses(inputs) is None:
            remedy = "Use mix_up, or leave the others out of the model."
            return f"cut_mix with {len(inputs)} inputs of images", "one input, whose area the label can follow", remedy
        return super().refuses(inputs)

    def mix(self, batch: Batch, draws: Draws, share: Any, partner: Any) -> tuple[dict[str, Any], Any]:
        import tensorflow as tf

        ((name, images),) = batch.features.items()
        down, right = (draws.uniform(tf.shape(share)) for _ in range(2))
        box = inside_box(images, down, right, tf.sqrt(1 - share))
        kept = 1 - tf.reduce_mean(tf.cast(box, tf.float32), axis=[1, 2, 3])
        return {name: tf.where(box, tf.gather(images, partner), images)}, kept
