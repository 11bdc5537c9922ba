"""Whether to train a new model: a pure function of facts, which says why in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from components.retraining.config import RetrainingConfig


@dataclass(frozen=True)
class Training:
    """The last run that trained a model and brought it to the gate.

    Args:
        run_id: of the run.
        at: when it began.
        passed: whether the gate let the model pass.
        fingerprint: hash of its raw data; empty when it is not known.
        settings: component name to a hash of its settings; empty when they are not known.
    """

    run_id: str
    at: datetime
    passed: bool
    fingerprint: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Blessed:
    """The newest model that passed its gate.

    Args:
        version: the number it is served by.
        at: when its run began.
    """

    version: int
    at: datetime


@dataclass(frozen=True)
class Facts:
    """Everything that the decision depends on.

    Args:
        now: the time.
        last: the last training; None when there was none.
        blessed: the newest blessed model; None when there is none.
        fingerprint: hash of the raw data of this run; empty when it is not known.
        settings: component name to a hash of its settings.
        drift: column to its distance from the data of the blessed model; None when there is nothing to compare.
        span: the newest span of the raw data.
    """

    now: datetime
    last: Training | None = None
    blessed: Blessed | None = None
    fingerprint: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    drift: Mapping[str, float] | None = None
    span: int | None = None

    @property
    def strongest(self) -> tuple[str, float] | None:
        """The column that has drifted furthest."""
        return max(self.drift.items(), key=lambda item: item[1]) if self.drift else None


@dataclass(frozen=True)
class Decision:
    """What to do.

    Args:
        go: train.
        rule: name of the rule that decided.
        reasons: in words, the one that decided first, then what speaks for the same.
    """

    go: bool
    rule: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What one rule says."""

    go: bool
    reason: str


def decide(facts: Facts, config: RetrainingConfig) -> Decision:
    """Ask the rules in order; the first that has an answer decides.

    Example:
        >>> decide(Facts(datetime(2026, 11, 24)), RetrainingConfig())
        Decision(go=True, rule='first_model', reasons=('no model was trained yet',))
    """
    answers = [(name, answer) for name, rule in RULES.items() if (answer := rule(facts, config)) is not None]
    name, first = answers[0]
    reasons = [first.reason]
    if not (first.go and name in ("first_model", "new_data")):
        reasons += [answer.reason for rule, answer in answers[1:] if answer.go == first.go and rule != "new_data"]
    return Decision(first.go, name, tuple(reasons))


def _first_model(facts: Facts, _: RetrainingConfig) -> Answer | None:
    return Answer(True, "no model was trained yet") if facts.last is None else None


def _settings_changed(facts: Facts, _: RetrainingConfig) -> Answer | None:
    if facts.last is None or not facts.last.settings:
        return None
    before, now = facts.last.settings, facts.settings
    changed = [name for name in now if before.get(name) != now[name]]
    if not changed:
        return None
    return Answer(True, f"the settings of {_listed(changed)} changed since run {facts.last.run_id}")


def _nothing_blessed(facts: Facts, _: RetrainingConfig) -> Answer | None:
    same_again = facts.last is not None and not facts.last.passed and _same_data(facts)
    return Answer(True, "no model has passed its gate yet") if facts.blessed is None and not same_again else None


def _no_new_data(facts: Facts, config: RetrainingConfig) -> Answer | None:
    if facts.last is None or not config.skip_without_new_data or not _same_data(facts):
        return None
    outcome = "" if facts.last.passed else ", whose model the gate blocked"
    return Answer(False, f"no new data since run {facts.last.run_id}{outcome}")


def _strong_drift(facts: Facts, config: RetrainingConfig) -> Answer | None:
    bound, strongest = config.retrain_on_drift_above, facts.strongest
    if bound is None or strongest is None or strongest[1] <= bound:
        return None
    drift = facts.drift or {}
    beyond = sorted((name for name, distance in drift.items() if distance > bound), key=lambda name: -drift[name])
    said = ", ".join(f"{name} by {drift[name]:.3f}" for name in beyond[:3]) + (", …" if len(beyond) > 3 else "")
    return Answer(True, f"drift above {bound:g}: {said}")


def _cool_down(facts: Facts, config: RetrainingConfig) -> Answer | None:
    if facts.last is None or facts.now - facts.last.at >= timedelta(hours=config.cool_down_hours):
        return None
    hours = (facts.now - facts.last.at) / timedelta(hours=1)
    return Answer(
        False, f"cool-down: the last training was {hours:.1f} hours ago, less than {config.cool_down_hours:g}"
    )


def _too_old(facts: Facts, config: RetrainingConfig) -> Answer | None:
    if facts.blessed is None or config.max_age_days is None:
        return None
    days = (facts.now - facts.blessed.at) / timedelta(days=1)
    if days < config.max_age_days:
        return None
    return Answer(
        True, f"version {facts.blessed.version} is {days:.1f} days old, and max_age_days is {config.max_age_days:g}"
    )


def _little_drift(facts: Facts, config: RetrainingConfig) -> Answer | None:
    bound, strongest = config.min_drift, facts.strongest
    if bound is None or strongest is None or strongest[1] >= bound:
        return None
    if not strongest[1]:
        return Answer(False, "little drift: no column has moved further than chance explains")
    return Answer(False, f"little drift: at most {strongest[1]:.3f} ({strongest[0]}), below {bound:g}")


def _new_data(facts: Facts, config: RetrainingConfig) -> Answer:
    what = "the same data, which may train again" if facts.last is not None and _same_data(facts) else "new data"
    span = f", up to span {facts.span}" if facts.span is not None else ""
    strongest = facts.strongest
    drift = f"; {strongest[0]} has drifted by {strongest[1]:.3f}" if strongest and config.min_drift else ""
    return Answer(True, f"{what}{span}{drift}")


RULES: dict[str, Callable[[Facts, RetrainingConfig], Answer | None]] = {
    "first_model": _first_model,
    "settings_changed": _settings_changed,
    "nothing_blessed": _nothing_blessed,
    "no_new_data": _no_new_data,
    "strong_drift": _strong_drift,
    "cool_down": _cool_down,
    "too_old": _too_old,
    "little_drift": _little_drift,
    "new_data": _new_data,
}
"""The rules in the order in which they are asked; the last one always has an answer."""


def _same_data(facts: Facts) -> bool:
    return bool(facts.last and facts.fingerprint and facts.last.fingerprint == facts.fingerprint)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
