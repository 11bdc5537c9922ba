"""What steps that mix rows share: partners, boxes, and labels that are a share of each class."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.step import KIND_NAMES, AugmentationStep, Batch, Facts, Kind, Refusal, kind_of
from components.features import ModelInput

if TYPE_CHECKING:
    from components.augmentation.draws import Draws


class MixingStep(AugmentationStep):
    """Puts a part of another row of the batch into each row, and of its label into the label.

    A row is mixed as a whole, all inputs and the label by the same share, or the label would be wrong.

    Args:
        alpha: of the Beta(alpha, alpha) distribution that shares are drawn from, over 0. Small ones leave most rows
            nearly as they are, 1 draws all shares alike.
    """

    mixes: ClassVar[bool] = True
    accepts: ClassVar[frozenset[Kind]]
    """The kinds of input that it can mix."""

    shorthand: ClassVar[str | None] = "alpha"
    alpha: float = Field(default=0.2, gt=0, allow_inf_nan=False)

    def refuses(self, inputs: Sequence[ModelInput]) -> Refusal | None:
        for each in inputs:
            if kind_of(each) not in self.accepts:
                received = f"{self.plugin_name()} with input {each.name!r}, which holds {KIND_NAMES[kind_of(each)]}"
                takes = " or ".join(KIND_NAMES[kind] for kind in sorted(self.accepts))
                expected = f"inputs that hold {takes}, since whole rows are mixed"
                return received, expected, "Remove the step, or leave the input out of the model."
        return None

    @abstractmethod
    def mix(self, batch: Batch, draws: Draws, share: Any, partner: Any) -> tuple[dict[str, Any], Any]:
        """Return the mixed features, and the share that each row has kept of itself, float32 `[batch]`.

        Args:
            batch: what is mixed.
            draws: the only source of chance.
            share: what each row should keep of itself, float32 `[batch]`; 1 keeps the row as it is.
            partner: number of the row that each row is mixed with.
        """

    def apply(self, batch: Batch, draws: Draws, facts: Facts) -> Batch:
        import tensorflow as tf

        rows = tf.shape(batch.label)[0]
        share = tf.where(draws.chosen(rows, self.fraction), draws.beta(rows, self.alpha), 1.0)
        partner = draws.order(rows)
        features, kept = self.mix(batch, draws, share, partner)
        return _with_labels(batch, features, kept, partner, facts)


def _with_labels(batch: Batch, features: dict[str, Any], kept: Any, partner: Any, facts: Facts) -> Batch:
    """Return the batch with mixed labels.

    The loss of a mixed label is the mixed loss of both labels, as in the paper, because cross-entropy is linear in the
    label. Weights are mixed so that this also holds for rows that weigh differently.
    """
    import tensorflow as tf

    label = batch.label
    if facts.task == "multiclass_classification" and label.dtype.is_integer:
        label = tf.one_hot(label[:, 0], facts.num_classes)
    label, kept = tf.cast(label, tf.float32), tf.expand_dims(kept, 1)
    weight = tf.ones_like(kept) if batch.weight is None else tf.expand_dims(batch.weight, 1)
    own, other = kept * weight, (1 - kept) * tf.gather(weight, partner)
    mixed = tf.math.divide_no_nan(own * label + other * tf.gather(label, partner), own + other)
    # two rows without weight have no label to mix, but still need one
    mixed = tf.where(own + other > 0, mixed, label)
    return Batch(features, mixed, None if batch.weight is None else (own + other)[:, 0])


def inside_box(images: Any, down: Any, right: Any, size: Any) -> Any:
    """Return which pixels lie in a box, bool `[batch, height, width, 1]`.

    Args:
        images: `[batch, height, width, channels]`.
        down: the box's middle, 0 the top and 1 the bottom, `[batch]`.
        right: the box's middle, 0 the left and 1 the right side, `[batch]`.
        size: of the box, as a share of height and of width, `[batch]`.
    """
    import tensorflow as tf

    def inside(middle: Any, length: int) -> Any:
        # from one pixel's edge to another's: the box covers size * length pixels wherever it lies
        first = tf.round(middle * length - size * length / 2)
        places = tf.range(length, dtype=tf.float32)
        first = tf.expand_dims(first, 1)
        return (places >= first) & (places < first + tf.round(tf.expand_dims(size * length, 1)))

    height, width = images.shape[1:3]
    return (inside(down, height)[:, :, None] & inside(right, width)[:, None, :])[..., None]
