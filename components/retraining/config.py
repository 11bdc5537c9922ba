"""Section `retraining`: when a run trains a new model, and when it leaves the one that is served."""

from __future__ import annotations

from pydantic import Field, model_validator

from components.config import Section


class RetrainingConfig(Section):
    """Bounds of the decision to retrain.

    Rules are asked in the order of `components.retraining.decision.RULES`; the first that has an answer decides. A
    first model and changed settings of a component that the model depends on always train. `sluice run SPEC --from
    Transform` trains whatever the decision would be.

    Drift is the share of rows that has moved beyond what chance explains, 0 to 1 (see `components.retraining.drift`).
    All data that would be trained on are compared: in a window of 30 equal spans one span moves it by 1/30 at most.

    Args:
        skip_without_new_data: leave the model when the raw data are those of the last training, byte for byte.
        retrain_on_drift_above: train at once when a column has drifted further than this from the data of the last
            blessed model; does not wait for the cool-down.
        cool_down_hours: leave the model for so long after the last training.
        max_age_days: train when the blessed model is older, even if its data have hardly drifted.
        min_drift: leave the model while every column has drifted less than this.
    """

    skip_without_new_data: bool = True
    retrain_on_drift_above: float | None = Field(default=None, gt=0, le=1)
    cool_down_hours: float = Field(default=0, ge=0, le=10_000)
    max_age_days: float | None = Field(default=None, gt=0, le=10_000)
    min_drift: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> RetrainingConfig:
        low, high = self.min_drift, self.retrain_on_drift_above
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_drift {low} is above retrain_on_drift_above {high}: no drift could be between them")
        return self
