"""Augmentation step `random_crop`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.images import IMAGE, moved
from components.augmentation.input_step import InputStep
from components.augmentation.step import Facts, Kind
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class RandomCrop(InputStep):
    """Cuts a part out of each image and enlarges it to the size of the whole.

    Use it for photographs, where a part still shows what the picture is of. Do not use small parts where what matters
    can fall outside, as with digits that fill the image; `random_shift` moves without enlarging.

    Args:
        min_area: smallest part, as a share of the image's area, over 0 and below 1.
        max_aspect_ratio: how much more the part may be squeezed one way than the other, from 1; 1 keeps proportions.
        inputs: names of the images; default: all.
        fraction: share of rows that it changes, over 0 to 1.

    Shapes:
        images `[batch, height, width, channels]` to the same.

    Reference:
        Szegedy and others (2015): Going deeper with convolutions.

    Example:
        >>> RandomCrop(min_area=0.5).max_aspect_ratio
        1.3333333333333333
    """

    shorthand: ClassVar[str | None] = "min_area"
    accepts: ClassVar[frozenset[Kind]] = IMAGE
    min_area: float = Field(default=0.5, gt=0, lt=1)
    max_aspect_ratio: float = Field(default=4 / 3, ge=1)

    def augment(self, values: Any, draws: Draws, model_input: ModelInput, facts: Facts) -> Any:  # noqa: ARG002
        import tensorflow as tf

        rows, (height, width) = tf.shape(values)[0], values.shape[1:3]
        side = tf.sqrt(draws.uniform([rows], self.min_area, 1.0))
        ratio = math.log(self.max_aspect_ratio) / 2
        squeeze = tf.exp(draws.uniform([rows], -ratio, ratio))
        tall, broad = tf.minimum(side * squeeze, 1.0), tf.minimum(side / squeeze, 1.0)
        # the middle of the part lies so that no part of it is outside
        down = draws.uniform([rows], -0.5, 0.5) * (1 - tall) * height
        right = draws.uniform([rows], -0.5, 0.5) * (1 - broad) * width
        nothing = tf.zeros_like(tall)
        return moved(values, (broad, nothing, nothing, tall), (right, down), "nearest")
