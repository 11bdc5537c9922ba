"""Section `ensemble`: which models are trained, and how they become one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from components.config import Section
from components.model.config import ModelConfig

MOST_MEMBERS = 100

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class MixedConfig(Section):
    """An ensemble of different models.

    Args:
        members: the models besides the one of section `model`, which is the first member; a family each.
    """

    members: tuple[ModelConfig, ...] = Field(min_length=1, max_length=MOST_MEMBERS - 1)

    @field_validator("members")
    @classmethod
    def _families(cls, members: tuple[ModelConfig, ...]) -> tuple[ModelConfig, ...]:
        if any(member.custom is not None for member in members):
            raise ValueError("a family for each member; a model of your own belongs in section model")
        return members


class VotingConfig(MixedConfig):
    """Different models, each trained on all rows; the answer is the mean of theirs (soft voting).

    Args:
        members: as in `MixedConfig`.
        weights: what each member counts, that of section `model` first, each over 0; None lets all count alike.

    Example:
        >>> VotingConfig(members=[{"family": "linear"}], weights=[3, 1]).shares
        (0.75, 0.25)
    """

    weights: tuple[Weight, ...] | None = None

    @property
    def shares(self) -> tuple[float, ...]:
        """What each member's answer is multiplied by; they sum to 1."""
        weights = self.weights or (1.0,) * (len(self.members) + 1)
        return tuple(weight / sum(weights) for weight in weights)

    @model_validator(mode="after")
    def _one_weight_each(self) -> VotingConfig:
        if self.weights is not None and len(self.weights) != len(self.members) + 1:
            raise ValueError(f"{len(self.members) + 1} weights, that of section model first, not {len(self.weights)}")
        return self


class StackingConfig(MixedConfig):
    """Different models, and a linear model that learns from their answers how far to trust each.

    It learns from answers to rows that a model had not been trained on (out of fold): each member is trained once per
    fold on the rows of the other folds, and once more on all rows for what is exported. Equal rows are in one fold.

    Args:
        members: as in `MixedConfig`.
        folds: parts of the train split, 2 to 20.

    Reference:
        Wolpert (1992): Stacked generalization. Ting and Witten (1999): Issues in stacked generalization.
    """

    folds: int = Field(default=5, ge=2, le=20)


class BaggingConfig(Section):
    """The model of section `model` several times, each trained on rows drawn with replacement; the mean answers.

    Args:
        members: how many models, 2 to 100.
        sample: rows that each draws, as a part of the train split's, over 0 to 1.

    Reference:
        Breiman (1996): Bagging predictors.
    """

    members: int = Field(default=5, ge=2, le=MOST_MEMBERS)
    sample: float = Field(default=1.0, gt=0, le=1)


class SnapshotConfig(Section):
    """One training whose learning rate falls to 0 and begins high again; the mean of the models at each 0 answers.

    The epochs of the training are shared by the cycles, so that the ensemble costs what one model costs. Each cycle
    begins with the weights that the one before it ended with, and with a fresh optimizer.

    Args:
        cycles: how often, 2 to 100; the members.

    Reference:
        Huang, Li, Pleiss, Liu, Hopcroft, Weinberger (2017): Snapshot ensembles: train 1, get M for free.
    """

    cycles: int = Field(default=4, ge=2, le=MOST_MEMBERS)


class EnsembleConfig(Section):
    """One kind of ensemble.

    Args:
        voting: different families.
        stacking: different families, and a model over them.
        bagging: one family on different rows.
        snapshot: one training at different times.

    Example:
        >>> EnsembleConfig(bagging={"members": 3}).kind
        'bagging'
    """

    voting: VotingConfig | None = None
    stacking: StackingConfig | None = None
    bagging: BaggingConfig | None = None
    snapshot: SnapshotConfig | None = None

    @property
    def kind(self) -> str:
        """Name of the kind that is asked for."""
        return next(name for name, value in self if value is not None)

    @property
    def models(self) -> tuple[ModelConfig, ...]:
        """The models that are named here, besides that of section `model`."""
        mixed = self.voting or self.stacking
        return () if mixed is None else mixed.members

    @model_validator(mode="after")
    def _one(self) -> EnsembleConfig:
        if sum(value is not None for _, value in self) != 1:
            raise ValueError(f"one of {', '.join(type(self).model_fields)}")
        return self
