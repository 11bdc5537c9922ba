"""Bagging: one model, each time trained on other rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from components.ensemble.combine import Ensemble, averaged
from components.ensemble.config import BaggingConfig
from components.ensemble.member import Given, train_member
from components.ensemble.rows import chosen, in_memory
from components.training.input_fn import Split


def made(config: BaggingConfig, given: Given) -> Ensemble:
    """Train each member on rows that are drawn for it.

    Raises:
        ComponentError: the train split is not in memory.
    """
    found = []
    for number in range(config.members):
        drawn = replace(given, train=bootstrap(given.train, config.sample, (given.config.seed, number)))
        found.append(train_member(drawn, number, f"sample {number + 1}", 1 / config.members))
    return averaged(found)


def bootstrap(split: Split, sample: float, seed: tuple[int, ...]) -> Split:
    """Return rows of a split, drawn with replacement.

    Args:
        split: held in memory.
        sample: how many, as a part of its rows; at least one row is drawn.
        seed: fixes which.

    Raises:
        ComponentError: it is not in memory.
    """
    total = in_memory(split, "bagging").rows
    rows = np.random.default_rng(seed).integers(total, size=max(1, round(sample * total)))
    return chosen(split, rows)
