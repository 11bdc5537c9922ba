"""What each class counts in the loss: from `training.class_weights` to one number per class id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from components import catalog
from components.engine.examples import read_batches
from components.errors import ComponentError
from components.features import LABEL, WEIGHT
from components.training.config import TrainingConfig

if TYPE_CHECKING:
    from components.training.input_fn import Split

WHERE = "training.class_weights"


def with_class_ids(config: TrainingConfig, train: Split, names: Sequence[str]) -> TrainingConfig:
    """Return the config with a weight for every class, by its id.

    Args:
        config: as the spec says it.
        train: what `balanced` counts; each class then has the weight `rows / (classes * rows of the class)`, in which
            a row counts as much as its example weight.
        names: of the classes, by id.

    Raises:
        ComponentError: the spec names a class that the data do not have.
    """
    written = config.class_weights
    if written is None:
        return config
    if written == "balanced":
        masses = _masses(train, len(names))
        present = masses > 0
        weights = np.where(present, masses.sum() / (present.sum() * np.where(present, masses, 1)), 1.0).tolist()
    else:
        _check(list(written), names)
        weights = [written.get(name, 1.0) for name in names]
    return config.model_copy(update={"class_weights": {str(at): weight for at, weight in enumerate(weights)}})


def _check(written: Sequence[str], names: Sequence[str]) -> None:
    for name in written:
        if name not in names:
            guess = catalog.nearest(name, list(names))
            raise ComponentError(
                f"class_weights names class {name!r}, which the train split does not have; it has {', '.join(names)}.",
                spec_path=WHERE,
                remedy=f"Did you mean {guess!r}?" if guess else "Name one of these.",
            )


def _masses(train: Split, classes: int) -> np.ndarray:
    """Return the sum of the example weights of each class."""
    columns = train.columns
    if columns is not None:
        return np.bincount(columns.label.ravel(), columns.weight, minlength=classes)
    total = np.zeros(classes)
    wanted = [LABEL, WEIGHT] if train.weighted else [LABEL]
    for batch in read_batches(train.folder, wanted):
        label, *weight = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
        total += np.bincount(label, weight[0] if weight else None, minlength=classes)
    return total
