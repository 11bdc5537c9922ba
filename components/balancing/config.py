"""Section `balancing`: the ordered steps that resample the train split, and whether probabilities are put right."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from components import catalog
from components.balancing.step import BalancingStep
from components.config import Section

STEPS = "components.balancing.steps"


def _parse(written: Any) -> BalancingStep:
    return catalog.parse(STEPS, written, BalancingStep)


class BalancingConfig(Section):
    """How the train split is resampled, after Transform; the eval split and requests stay as they are.

    In YAML a list of steps, or `{steps: […], correct_probabilities: false}`.

    A model that learns from resampled rows says what the resampled rows are like: with half of them positive it
    predicts far more positives than there are. The exported model therefore scales its probabilities back by the
    classes' shares before and after, which leaves their order, and so AUC, as it is (binary tasks). The threshold of
    0.5 then means again what it says, and few rows of a rare class pass it: lower the threshold, or switch the
    correction off when only the most likely class matters. The Trainer sees the eval split as it is and its own
    probabilities uncorrected, so early stopping had better watch `val_auc` or `val_accuracy` than `val_loss`.

    Args:
        steps: run in this order, each on what the one before left.
        correct_probabilities: whether the exported model undoes what resampling does to probabilities.
        seed: of everything that is drawn; equal seeds and equal data give equal rows.

    Reference:
        Saerens, Latinne, Decaestecker (2002): Adjusting the outputs of a classifier to new a priori probabilities.
        Elkan (2001): The foundations of cost-sensitive learning.

    Example:
        >>> BalancingConfig.model_validate([{"random_undersample": 0.5}]).steps[0].ratio
        0.5
    """

    steps: tuple[Annotated[SerializeAsAny[BalancingStep], BeforeValidator(_parse)], ...] = Field(min_length=1)
    correct_probabilities: bool = True
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _list_of_steps(cls, written: Any) -> Any:
        return {"steps": written} if isinstance(written, list | tuple) else written
