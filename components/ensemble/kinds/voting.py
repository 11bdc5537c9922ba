"""Soft voting: different models, each trained on all rows."""

from __future__ import annotations

from components.ensemble.combine import Ensemble, averaged
from components.ensemble.config import VotingConfig
from components.ensemble.member import Given, name_of, train_member


def made(config: VotingConfig, given: Given) -> Ensemble:
    """Train the model of section `model`, then the others."""
    found = []
    for number, (model, share) in enumerate(zip((None, *config.members), config.shares, strict=True)):
        found.append(train_member(given, number, name_of(model), share, model))
    return averaged(found)
