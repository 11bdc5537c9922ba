"""The gate: rules and measured metrics in, a verdict with reasons in words out. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from components.evaluation.config import EvaluationConfig, GateRule
from components.evaluation.measured import Interval, Measured, MeasuredGroup

Outcome = Literal["pass", "fail", "not_enough_data", "no_baseline"]

SHOWN_CONFIDENCE = 0.95
"""Of the interval that is shown with a rule that asks for none."""

_ROUNDING = 1e-12
_WORST_SHOWN = 5


@dataclass(frozen=True)
class Check:
    """One rule on one slice, as it is written to verdict.json.

    Args:
        rule: the rule in words.
        slice: column to value; None is all rows.
        metric: name of the metric.
        value: of the candidate.
        interval: of that value.
        baseline_value: of the baseline.
        bound: what the value, or its drop or rise, was compared with.
        examples: number of rows.
        verdict: what came of it.
        reason: the same as a sentence.
        change: candidate minus baseline.
        change_interval: of that change.
    """

    rule: str
    slice: Mapping[str, str] | None
    metric: str
    value: float | None
    interval: Interval | None
    baseline_value: float | None
    bound: float
    examples: int
    verdict: Outcome
    reason: str
    change: float | None = None
    change_interval: Interval | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether the model may be pushed, and why.

    Args:
        passed: it may.
        reasons: sentences; what blocks it comes first.
        first_model: there was no baseline.
        rules: every rule on every slice.
    """

    passed: bool
    reasons: tuple[str, ...]
    first_model: bool
    rules: tuple[Check, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": list(self.reasons), "rules": [asdict(check) for check in self.rules]}


def judge(
    config: EvaluationConfig,
    overall: Measured,
    groups: Mapping[tuple[str, ...], MeasuredGroup],
    blocking: Sequence[str] = (),
    baseline_problem: str | None = None,
) -> Verdict:
    """Return the verdict on a model.

    Args:
        config: the gate's rules and what a missing baseline or too little data mean.
        overall: measured on all rows.
        groups: columns to what was measured on their slices; all that the rules name.
        blocking: sentences that block the model whatever its metrics are.
        baseline_problem: why the baseline could not be measured; rules against it then block, for a model that nothing
            was compared with must not replace one that works.
    """
    checks: list[Check] = []
    blocks = list(blocking)
    notes: list[str] = []
    if baseline_problem and any(rule.is_relative for rule in config.gate):
        blocks.append(f"The baseline could not be measured, so nothing was compared with it: {baseline_problem}")
    for rule in config.gate:
        found = list(_checks(rule, overall, groups, baseline_problem))
        checks += found
        for outcome, policy in _POLICIES.items():
            if sentence := _sentence(rule, [check for check in found if check.verdict == outcome], len(found)):
                (blocks if policy(config) == "block" else notes).append(sentence)
    first_model = overall.baseline is None and baseline_problem is None
    reasons = [*blocks, *notes] if blocks else [_all_hold(checks), *notes]
    return Verdict(not blocks, tuple(reasons), first_model, tuple(checks))


_POLICIES: dict[Outcome, Callable[[EvaluationConfig], str]] = {
    "fail": lambda config: "block",  # noqa: ARG005
    "not_enough_data": lambda config: config.not_enough_data,
    "no_baseline": lambda config: config.first_model,
}


def _checks(
    rule: GateRule,
    overall: Measured,
    groups: Mapping[tuple[str, ...], MeasuredGroup],
    baseline_problem: str | None,
) -> Iterator[Check]:
    if rule.slice is None:
        yield check(rule, overall, baseline_problem)
        return
    group = groups[rule.slice]
    for measured in group.slices:
        yield check(rule, measured, baseline_problem)
    columns = " × ".join(rule.slice)
    if not group.slices:
        yield _unmeasured(rule, 0, f"No row has a value of {columns}.")
    if group.unmeasured:
        reason = (
            f"The {group.unmeasured} smallest slices of {columns} were not measured; "
            f"each has at most {group.unmeasured_rows} rows."
        )
        yield _unmeasured(rule, group.unmeasured_rows, reason)


def check(rule: GateRule, measured: Measured, baseline_problem: str | None = None) -> Check:
    """Return what one rule says of one slice.

    Example:
        >>> check(GateRule.model_validate("auc >= 0.8"), Measured(500, {"auc": 0.75})).reason
        'auc is 0.75, below 0.8.'
    """
    metric = rule.metric
    value = measured.values.get(metric)
    base = None if measured.baseline is None else measured.baseline.get(metric)
    change = None if value is None or base is None else value - base
    confidence = rule.confidence or SHOWN_CONFIDENCE
    interval = measured.interval(metric, confidence, False)
    change_interval = measured.interval(metric, confidence, True) if rule.is_relative else None
    outcome, reason = _outcome(rule, measured, change, change_interval if rule.is_relative else interval)
    if outcome == "no_baseline" and baseline_problem:
        reason = "The baseline could not be measured."
    return Check(
        rule=str(rule),
        slice=measured.slice,
        metric=metric,
        value=value,
        interval=interval,
        baseline_value=base,
        bound=_bound(rule),
        examples=measured.examples,
        verdict=outcome,
        reason=reason,
        change=change,
        change_interval=change_interval,
    )


def _outcome(
    rule: GateRule, measured: Measured, change: float | None, interval: Interval | None
) -> tuple[Outcome, str]:
    value = measured.values.get(rule.metric)
    if measured.examples < rule.enough_examples:
        return "not_enough_data", f"{_rows(measured.examples)}, and the rule needs {rule.enough_examples}."
    if value is None:
        return "not_enough_data", f"{rule.metric} is not defined on {_rows(measured.examples)} ({_WHY_UNDEFINED})."
    if rule.is_relative and measured.baseline is None:
        return "no_baseline", "There is no blessed model to compare with yet."
    if rule.is_relative and change is None:
        return "not_enough_data", f"{rule.metric} of the baseline is not defined ({_WHY_UNDEFINED})."
    if rule.confidence and interval is None:
        return "not_enough_data", f"{rule.metric} has no {rule.confidence:.0%} interval: too few rows decide it."
    compared = _compared(rule, value, change, interval if rule.confidence else None)
    bound = _bound(rule)
    lower_bound = rule.at_least is not None
    holds = compared >= bound - _ROUNDING if lower_bound else compared <= bound + _ROUNDING
    return ("pass" if holds else "fail"), _comparison(rule, compared, bound, holds)


_WHY_UNDEFINED = "all labels, or all answers, are the same there"


def _compared(rule: GateRule, value: float, change: float | None, interval: Interval | None) -> float:
    """Return what is compared with the bound: the value, drop or rise, or the unfavourable end of its interval."""
    if rule.at_least is not None:
        return interval[0] if interval else value
    if rule.at_most is not None:
        return interval[1] if interval else value
    difference = change if change is not None else 0.0
    if rule.drop_at_most is not None:
        return -(interval[0] if interval else difference)
    return interval[1] if interval else difference


def _bound(rule: GateRule) -> float:
    bounds = (rule.at_least, rule.at_most, rule.drop_at_most, rule.rise_at_most)
    return next(bound for bound in bounds if bound is not None)


def _comparison(rule: GateRule, compared: float, bound: float, holds: bool) -> str:
    number = _digits(compared, bound)
    lower_bound = rule.at_least is not None
    if rule.is_relative:
        kind = "drop" if rule.drop_at_most is not None else "rise"
        what = f"the {kind} of {rule.metric} against the baseline"
    else:
        what = rule.metric
    if rule.confidence:
        what = f"the {'lower' if lower_bound else 'upper'} end of the {rule.confidence:.0%} interval of {what}"
    relation = "at least" if lower_bound else "at most"
    if not holds:
        relation = "below" if lower_bound else "above"
    sentence = f"{what} is {number}, {relation} {bound:g}."
    return sentence if sentence.startswith(rule.metric) else sentence[0].upper() + sentence[1:]


def _digits(number: float, bound: float) -> str:
    """Return the number with as many digits as it takes to see on which side of the bound it lies."""
    for digits in range(4, 13):
        if (text := f"{number:.{digits}g}") != f"{bound:.{digits}g}" or number == bound:
            return text
    return repr(number)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _unmeasured(rule: GateRule, examples: int, reason: str) -> Check:
    return Check(str(rule), None, rule.metric, None, None, None, _bound(rule), examples, "not_enough_data", reason)


def _sentence(rule: GateRule, checks: Sequence[Check], of: int) -> str | None:
    """Return one sentence for all slices on which a rule came out the same way, the worst first."""
    if not checks:
        return None
    said = {"fail": "fails", "not_enough_data": "has not enough data to say", "no_baseline": "has no baseline"}
    verdict = checks[0].verdict
    if rule.slice is None or verdict == "no_baseline":
        return f"{rule} {said[verdict]}: {checks[0].reason}"
    worst = sorted(checks, key=lambda check: _badness(rule, check), reverse=True)[:_WORST_SHOWN]
    named = "; ".join(f"{_slice_name(check)}: {check.reason.removesuffix('.')}" for check in worst)
    more = f"; and {len(checks) - len(worst)} more" if len(checks) > len(worst) else ""
    return f"{rule} {said[verdict]} for {len(checks)} of {of}: {named}{more}."


def _badness(rule: GateRule, check: Check) -> float:
    compared = check.change if rule.is_relative else check.value
    if compared is None:
        return float(check.examples)
    return -compared if rule.at_least is not None or rule.drop_at_most is not None else compared


def _slice_name(check: Check) -> str:
    return ", ".join(f"{column}={value}" for column, value in (check.slice or {}).items()) or "others"


def _all_hold(checks: Sequence[Check]) -> str:
    if not checks:
        return "The gate has no rules, so nothing was asked of the model."
    passed = sum(check.verdict == "pass" for check in checks)
    if passed == len(checks):
        return "The only condition holds." if passed == 1 else f"All {passed} conditions hold."
    return f"{passed} of {len(checks)} conditions hold, and none fails."
