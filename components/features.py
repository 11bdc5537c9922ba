"""A column of the raw data, and what the model sees of it: declared once, read by every section."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Task = Literal["binary_classification", "multiclass_classification", "regression"]


class FeatureKind(StrEnum):
    """What a raw column means; it decides the default transform."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    IMAGE = "image"
    TEXT = "text"


@dataclass(frozen=True)
class ModelInput:
    """One transformed feature as the model receives it.

    Args:
        name: name of the transformed feature.
        dtype: `float32` for dense values, `int64` for ids.
        shape: of one row; the tensor is `[batch, *shape]`. `(1,)` one value, `(width,)` a vector or a sequence of ids,
            `(height, width, channels)` an image.
        cardinality: for ids, how many different ones there are (`0 … cardinality - 1`); None for dense values.
        stored_as: the transformed column that it is read from, where that has another name.

    Example:
        >>> ModelInput("picture", "float32", (28, 28, 1)).width
        784
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = (1,)
    cardinality: int | None = None
    stored_as: str | None = None

    @property
    def column(self) -> str:
        """The transformed column that it is read from."""
        return self.stored_as or self.name

    @property
    def width(self) -> int:
        """How many values a row has."""
        return math.prod(self.shape)

    @property
    def is_ids(self) -> bool:
        """True when the values are ids to embed, False when they are dense numbers."""
        return self.cardinality is not None


LABEL = "label"
"""Name of the transformed label in the transform graph, whatever the raw one is called."""

WEIGHT = "weight"
"""Name of the transformed example weight, where the spec names one."""


def out_of_fold_name(chain: str) -> str:
    """Return the name of the transformed column that training reads in place of a chain's output, where there is one.

    Example:
        >>> out_of_fold_name("city")
        'city__out_of_fold'
    """
    return f"{chain}__out_of_fold"


PREDICTION_KEYS: dict[str, str] = {
    "binary_classification": "probability",
    "multiclass_classification": "probabilities",
    "regression": "prediction",
}
"""Task to the name of the served output that evaluation reads: `[batch]`, `[batch, classes]`, `[batch]`."""

SERVING_SIGNATURE = "serving_default"
"""Takes serialized tf.Examples `examples: string [batch]`."""

RAW_SIGNATURE = "raw"
"""Takes one named tensor `[batch]` per raw feature."""

TRANSFORM_SIGNATURE = "transform_features"
"""Takes serialized tf.Examples with the label's columns; returns the transformed features and the label."""
