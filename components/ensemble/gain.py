"""What the ensemble and each member score on the eval split, and what the ensemble gains over the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from components.features import Task
from components.training import objective
from components.training.fitting import EVALUATION_BATCH_SIZE
from components.training.input_fn import Split, evaluation_dataset

if TYPE_CHECKING:
    import keras

CONFIDENCE = 0.95
RESAMPLES = 500


class Scored:
    """The answers of a model to the eval split.

    Args:
        model: it.
        split: what it is asked.
        task: decides loss and metrics.

    Attributes:
        losses: plain loss of each row, `[rows]`.
        weight: what each row counts, `[rows]`.
        metrics: name to value over all rows, `val_loss` and those of the task.
    """

    def __init__(self, model: keras.Model, split: Split, task: Task) -> None:
        loss = objective.loss(task)
        measured = objective.metrics(task)
        losses, weights = [], []
        for features, label, *weight in evaluation_dataset(split, EVALUATION_BATCH_SIZE):
            answer = model(features, training=False)
            counts = weight[0] if weight else None
            for metric in measured:
                metric.update_state(label, answer, sample_weight=counts)
            losses.append(np.asarray(loss.call(label, answer)).reshape(-1))
            weights.append(np.ones(len(losses[-1])) if counts is None else np.asarray(counts, np.float64))
        self.losses, self.weight = np.concatenate(losses).astype(np.float64), np.concatenate(weights)
        mean = float(np.average(self.losses, weights=self.weight))
        self.metrics = {"val_loss": mean, **{f"val_{each.name}": float(each.result()) for each in measured}}


def gain(ensemble: Scored, members: Sequence[Scored], seed: int) -> dict[str, Any]:
    """Return the gain in loss over the member with the least loss, with its bootstrap percentile interval.

    The rows of the eval split are drawn anew, the same ones for both (paired). The best member is chosen on these very
    rows, which flatters it: the true gain is rather larger than it is here.

    Reference:
        Efron and Tibshirani (1993): An introduction to the bootstrap, chapter 13.
    """
    best = min(range(len(members)), key=lambda number: members[number].metrics["val_loss"])
    differences, weight = members[best].losses - ensemble.losses, ensemble.weight
    random, rows = np.random.default_rng(seed), len(differences)
    drawn = []
    for _ in range(RESAMPLES):
        counts = np.bincount(random.integers(rows, size=rows), minlength=rows) * weight
        drawn.append(float(np.average(differences, weights=counts)) if counts.sum() else 0.0)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {
        "best_member": best + 1,
        "loss": float(np.average(differences, weights=weight)),
        "low": float(low),
        "high": float(high),
        "confidence": CONFIDENCE,
    }
