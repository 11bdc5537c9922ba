"""Train the members, make one model of them, and say what that has gained."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from components.engine.progress import report
from components.ensemble.config import EnsembleConfig
from components.ensemble.gain import Scored, gain
from components.ensemble.member import Given, Member
from components.training import objective
from components.training.fit import FitResult


@dataclass
class EnsembleResult(FitResult):
    """An ensemble; epochs are those of all members, one member after the other.

    Args:
        ensemble: kind, each member's and the ensemble's scores, and the gain.
    """

    ensemble: dict[str, Any] = field(default_factory=dict)

    def history(self) -> dict[str, Any]:
        """Return the content of `history.json`; its `metrics` are the ensemble's."""
        return {**super().history(), "metrics": self.ensemble["metrics"], "ensemble": self.ensemble}


def fit_ensemble(config: EnsembleConfig, given: Given) -> EnsembleResult:
    """Return the ensemble as one model.

    Two calls with equal arguments give equal weights on CPUs. Members that an attempt that was cut off has finished are
    not trained again.

    Raises:
        ComponentError: a member cannot be trained.
    """
    kind = importlib.import_module(f"components.ensemble.kinds.{config.kind}")
    ensemble = kind.made(getattr(config, config.kind), given)
    members, model = ensemble.members, ensemble.model(given.evaluation.inputs)
    report(given.places.runtime, "Trainer", f"comparing the ensemble with its {len(members)} members")
    scores = [Scored(member.model, given.evaluation, given.task) for member in members]
    whole = Scored(model, given.evaluation, given.task)
    found = gain(whole, scores, given.config.seed)
    facts = {
        "kind": config.kind,
        "members": [_row(member, score) for member, score in zip(members, scores, strict=True)],
        "metrics": whole.metrics,
        "gain": found,
        "text": _text(config.kind, members, found),
    }
    # Keras wants a loss of a model file that is to be trained on
    model.compile(loss=objective.loss(given.task))
    return _result(model, members, facts)


def _row(member: Member, score: Scored) -> dict[str, Any]:
    fitted = member.fitted
    return {
        "name": member.name,
        "share": member.share,
        "parameters": int(member.model.count_params()),
        "epochs": len(fitted.epochs),
        "seconds": round(fitted.seconds, 3),
        **score.metrics,
    }


def _text(kind: str, members: Sequence[Member], found: dict[str, Any]) -> str:
    best = members[found["best_member"] - 1].name
    interval = f"{found['confidence']:.0%} interval {found['low']:+.4g} to {found['high']:+.4g}"
    return (
        f"{kind} of {len(members)} members: against the best of them, {best}, it gains {found['loss']:+.4g} in loss on "
        f"the eval split ({interval}; over 0 is better)"
    )


def _result(model: Any, members: Sequence[Member], facts: dict[str, Any]) -> EnsembleResult:
    epochs: list[dict[str, Any]] = []
    best_epoch = 0
    for number, member in enumerate(members, 1):
        if number == facts["gain"]["best_member"]:
            best_epoch = len(epochs) + member.fitted.best_epoch
        for row in member.fitted.epochs:
            epochs.append({**row, "epoch": len(epochs) + 1, "member": number})
    each = [member.fitted for member in members]
    return EnsembleResult(
        model,
        epochs,
        resumed_from_epoch=sum(one.resumed_from_epoch for one in each),
        best_epoch=best_epoch,
        seconds=sum(one.seconds for one in each),
        steps_per_second=sum(one.steps_per_second for one in each) / len(each),
        settings=each[0].settings,
        notes=[*dict.fromkeys(note for one in each for note in one.notes), facts["text"]],
        ensemble=facts,
    )
