"""Section `evaluation`: what is measured, and the gate that decides."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from components.config import Section

METRICS: dict[str, tuple[str, ...]] = {
    "binary_classification": ("auc", "auc_pr", "accuracy", "precision", "recall", "log_loss", "calibration"),
    "multiclass_classification": ("accuracy", "log_loss"),
    "regression": ("rmse", "mae", "mse", "r_squared"),
}
"""Task to the metrics that are always computed; the gate may name any of them."""

LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae", "mse"})

MIN_EXAMPLES_ON_SLICES = 100

_RULE = re.compile(r"^\s*(\w+)\s*(>=|<=)\s*(\S+)\s*$")
_CHANGE = re.compile(r"^\s*(\w+)\s+(drop|rise)\s*<=\s*(\S+)\s*$")


class GateRule(Section):
    """One condition that the model must meet.

    In YAML `auc >= 0.8`, `log_loss <= 0.5`, `accuracy drop <= 0.005` (against the latest blessed model) or the long
    form.

    Args:
        metric: name of a metric of the task.
        at_least, at_most: absolute bounds; one of the four is given.
        drop_at_most: how much lower than the baseline the metric may be (how much higher, for a metric where lower
            is better, is `rise_at_most`).
        rise_at_most: how much higher than the baseline it may be.
        against: what a drop or rise is measured against.
        slice: raw column, or columns (`[hour, day]`), whose every value is a slice the rule must hold on; None is all
            rows.
        min_examples: fewer rows than this give the verdict "not enough data to say"; None is 100 on slices and 1 on all
            rows.
        confidence: with 0.95, say, the rule must hold at the unfavourable end of that bootstrap interval; None
            compares the metric itself.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    drop_at_most: float | None = Field(default=None, ge=0)
    rise_at_most: float | None = Field(default=None, ge=0)
    against: Literal["latest_blessed"] = "latest_blessed"
    slice: tuple[str, ...] | None = None
    min_examples: int | None = Field(default=None, ge=1)
    confidence: float | None = Field(default=None, gt=0.5, lt=1)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, written: Any) -> Any:
        if isinstance(written, str):
            if match := _RULE.match(written):
                key = "at_least" if match[2] == ">=" else "at_most"
                return {"metric": match[1], key: match[3]}
            if match := _CHANGE.match(written):
                return {"metric": match[1], f"{match[2]}_at_most": match[3]}
            raise ValueError(f"{written!r} is not a rule; write 'auc >= 0.8', 'log_loss <= 0.5', 'auc drop <= 0.005'")
        if isinstance(written, dict) and isinstance(written.get("slice"), str):
            return {**written, "slice": (written["slice"],)}
        return written

    @model_validator(mode="after")
    def _one_bound(self) -> GateRule:
        bounds = [self.at_least, self.at_most, self.drop_at_most, self.rise_at_most]
        if sum(bound is not None for bound in bounds) != 1:
            raise ValueError("a rule has exactly one of at_least, at_most, drop_at_most, rise_at_most")
        return self

    @property
    def enough_examples(self) -> int:
        """The number of rows from which the rule has enough data."""
        if self.min_examples is not None:
            return self.min_examples
        return MIN_EXAMPLES_ON_SLICES if self.slice else 1

    @property
    def is_relative(self) -> bool:
        """True when it compares with the baseline."""
        return self.drop_at_most is not None or self.rise_at_most is not None

    def __str__(self) -> str:
        where = f" on every {' × '.join(self.slice)}" if self.slice else ""
        if self.at_least is not None:
            return f"{self.metric} >= {self.at_least:g}{where}"
        if self.at_most is not None:
            return f"{self.metric} <= {self.at_most:g}{where}"
        kind, bound = ("drop", self.drop_at_most) if self.drop_at_most is not None else ("rise", self.rise_at_most)
        return f"{self.metric} {kind} <= {bound:g} against the latest blessed model{where}"


def _slice_key(written: Any) -> Any:
    return (written,) if isinstance(written, str) else written


class EvaluationConfig(Section):
    """What is measured on the eval split, and the gate.

    Args:
        slices: raw columns, or groups of them (`[hour, day]`); every value of each is measured on its own.
        gate: every rule must hold.
        not_enough_data: whether a rule that has not enough data to say lets the model pass (`pass`) or not (`block`).
        first_model: with no baseline yet, rules against the latest blessed model `pass` or `block`.
        bootstrap_samples: resamples for confidence intervals; 0 computes none.
        seed: of the resamples.
        servability: load the exported model in a fresh process and compare its answers before it may be pushed.
    """

    slices: tuple[Annotated[tuple[str, ...], BeforeValidator(_slice_key)], ...] = ()
    gate: tuple[GateRule, ...] = ()
    not_enough_data: Literal["pass", "block"] = "pass"
    first_model: Literal["pass", "block"] = "pass"
    bootstrap_samples: int = Field(default=200, ge=0, le=10_000)
    seed: int = Field(default=0, ge=0)
    servability: bool = True

    @property
    def all_slices(self) -> tuple[tuple[str, ...], ...]:
        """The slices to compute: those listed and those that the gate names, each once."""
        gate = tuple(rule.slice for rule in self.gate if rule.slice)
        return tuple(dict.fromkeys((*self.slices, *gate)))
