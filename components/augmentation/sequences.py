"""What steps on texts share: rows of word ids of which some places are drawn, a whole batch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from components.augmentation.input_step import InputStep
from components.augmentation.step import Kind, Refusal
from components.augmentation.thesaurus import parsed

if TYPE_CHECKING:
    from components.augmentation.draws import Draws

SEQUENCE: frozenset[Kind] = frozenset({"sequence"})
PADDING = 0
"""The id of a place behind the last word."""


class WordStep(InputStep):
    """Changes a share of the words of a text.

    Args:
        share: of a text's words, over 0 and below 1; at least one word of each text.
    """

    shorthand: ClassVar[str | None] = "share"
    accepts: ClassVar[frozenset[Kind]] = SEQUENCE
    share: float = Field(default=0.1, gt=0, lt=1)

    def check_file(self, file: str, text: str) -> Refusal | None:
        try:
            parsed(text)
        except ValueError as error:
            received, _, expected = str(error).partition("; expected ")
            return f"{file!r}, whose {received}", expected, "Correct that line."
        return None

    def count(self, ids: Any) -> Any:
        """Return how many words of each text it changes, int32 `[batch]`."""
        import tensorflow as tf

        words = tf.cast(lengths(ids), tf.float32)
        return tf.cast(tf.maximum(1.0, tf.round(self.share * words)), tf.int32)


def lengths(ids: Any) -> Any:
    """Return how many words each text has, int32 `[batch]`."""
    import tensorflow as tf

    return tf.reduce_sum(tf.cast(ids != PADDING, tf.int32), axis=1)


def drawn_order(among: Any, draws: Draws) -> Any:
    """Return places in random order, those that count first, int32 `[batch, length]`.

    Args:
        among: which places count, bool `[batch, length]`.
        draws: the only source of chance.
    """
    import tensorflow as tf

    return tf.argsort(tf.where(among, draws.uniform(tf.shape(among)), 2.0), axis=1)


def ranks(order: Any) -> Any:
    """Return at which position of `order` each place is: the inverse of a permutation, `[batch, length]`."""
    import tensorflow as tf

    return tf.argsort(order, axis=1)


def gathered(ids: Any, places: Any) -> Any:
    """Return the ids at other places of their row."""
    import tensorflow as tf

    return tf.gather(ids, places, batch_dims=1)
