"""The gate's rules, each with every verdict it can give."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.evaluation.config import EvaluationConfig, GateRule
from components.evaluation.gate import check, judge
from components.evaluation.measured import Measured, MeasuredGroup


def rule(written, **more) -> GateRule:
    return GateRule.model_validate({**GateRule.model_validate(written).model_dump(exclude_unset=True), **more})


def measured(found, examples=500, baseline=None, slice=None, metric="auc", **intervals) -> Measured:  # noqa: A002
    def interval(name, confidence, change):
        return intervals.get("change" if change else "value")

    base = None if baseline is None else {metric: baseline}
    return Measured(examples, {metric: found}, base, slice, interval)


def hours(*values, **more) -> dict:
    slices = tuple(measured(value, slice={"hour": str(hour)}, **more) for hour, value in enumerate(values))
    return {("hour",): MeasuredGroup(slices)}


def config(*rules, **more) -> EvaluationConfig:
    return EvaluationConfig.model_validate({"gate": list(rules), **more})


@pytest.mark.parametrize(
    ("written", "found", "verdict", "reason"),
    [
        ("auc >= 0.8", measured(0.81), "pass", "auc is 0.81, at least 0.8."),
        ("auc >= 0.8", measured(0.79), "fail", "auc is 0.79, below 0.8."),
        ("auc >= 0.8", measured(0.8), "pass", "auc is 0.8, at least 0.8."),
        ("auc >= 0.8", measured(0.7999999), "fail", "auc is 0.7999999, below 0.8."),
        ("log_loss <= 0.5", measured(0.4, metric="log_loss"), "pass", "log_loss is 0.4, at most 0.5."),
        ("log_loss <= 0.5", measured(0.6, metric="log_loss"), "fail", "log_loss is 0.6, above 0.5."),
        ("auc drop <= 0.01", measured(0.80, baseline=0.805), "pass", "The drop of auc against the baseline is 0.005"),
        ("auc drop <= 0.01", measured(0.80, baseline=0.82), "fail", "The drop of auc against the baseline is 0.02, ab"),
        ("auc drop <= 0.005", measured(0.795, baseline=0.8), "pass", "The drop of auc against the baseline is 0.005"),
        ("auc drop <= 0", measured(0.9, baseline=0.8), "pass", "The drop of auc against the baseline is -0.1"),
        ("auc rise <= 0.01", measured(0.80, baseline=0.795), "pass", "The rise of auc"),
        ("auc rise <= 0.01", measured(0.82, baseline=0.80), "fail", "The rise of auc against the baseline is 0.02"),
        ("auc drop <= 0.01", measured(0.8), "no_baseline", "There is no blessed model to compare with yet."),
        ("auc >= 0.8", measured(None), "not_enough_data", "auc is not defined on 500 rows"),
    ],
)
def test_a_rule_on_all_rows_says_why(written, found, verdict, reason):
    result = check(rule(written), found)
    assert (result.verdict, result.reason[: len(reason)]) == (verdict, reason)


def test_a_baseline_on_which_the_metric_is_undefined_is_not_enough_data():
    found = Measured(500, {"auc": 0.8}, {"auc": None})
    result = check(rule("auc drop <= 0.01"), found)
    assert result.verdict == "not_enough_data"
    assert "of the baseline is not defined" in result.reason


@pytest.mark.parametrize(
    ("written", "found", "verdict"),
    [
        # The metric itself satisfies each of these rules; only the unfavourable end decides.
        ("auc >= 0.8", measured(0.82, value=(0.81, 0.83)), "pass"),
        ("auc >= 0.8", measured(0.82, value=(0.79, 0.85)), "fail"),
        ("auc <= 0.8", measured(0.78, value=(0.77, 0.79)), "pass"),
        ("auc <= 0.8", measured(0.78, value=(0.70, 0.81)), "fail"),
        ("auc drop <= 0.01", measured(0.8, baseline=0.8, change=(-0.009, 0.02)), "pass"),
        ("auc drop <= 0.01", measured(0.8, baseline=0.8, change=(-0.011, 0.02)), "fail"),
        ("auc rise <= 0.01", measured(0.8, baseline=0.8, change=(-0.02, 0.009)), "pass"),
        ("auc rise <= 0.01", measured(0.8, baseline=0.8, change=(-0.02, 0.011)), "fail"),
        ("auc >= 0.8", measured(0.82), "not_enough_data"),
    ],
)
def test_with_a_confidence_the_unfavourable_end_of_the_interval_decides(written, found, verdict):
    assert check(rule(written, confidence=0.95), found).verdict == verdict


def test_a_confident_rule_names_the_end_it_looked_at():
    result = check(rule("auc >= 0.8", confidence=0.95), measured(0.82, value=(0.79, 0.85)))
    assert result.reason == "The lower end of the 95% interval of auc is 0.79, below 0.8."


def test_a_slice_rule_fails_on_its_bad_slices_only_and_names_them():
    verdict = judge(config({"metric": "auc", "at_least": 0.7, "slice": "hour"}), measured(0.8), hours(0.9, 0.65, 0.6))
    assert not verdict.passed
    assert [each.verdict for each in verdict.rules] == ["pass", "fail", "fail"]
    assert verdict.reasons == (
        "auc >= 0.7 on every hour fails for 2 of 3: hour=2: auc is 0.6, below 0.7; hour=1: auc is 0.65, below 0.7.",
    )


def test_small_slices_are_not_enough_data_by_default_and_small_data_are():
    rules = config({"metric": "auc", "at_least": 0.7, "slice": "hour"}, "auc >= 0.7")
    verdict = judge(rules, measured(0.8, examples=99), hours(0.1, examples=99))
    assert [each.verdict for each in verdict.rules] == ["not_enough_data", "pass"]
    assert verdict.passed


def test_min_examples_is_obeyed_on_all_rows_too():
    result = check(rule("auc >= 0.7", min_examples=1000), measured(0.8))
    assert (result.verdict, result.reason) == ("not_enough_data", "500 rows, and the rule needs 1000.")


@pytest.mark.parametrize(("policy", "passed"), [("pass", True), ("block", False)])
def test_not_enough_data_passes_or_blocks_as_the_spec_says(policy, passed):
    verdict = judge(config("auc >= 0.8", not_enough_data=policy), measured(None), {})
    assert verdict.passed is passed
    assert any("has not enough data to say" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(("policy", "passed"), [("pass", True), ("block", False)])
def test_the_first_model_passes_or_blocks_as_the_spec_says(policy, passed):
    verdict = judge(config("auc drop <= 0.01", first_model=policy), measured(0.8), {})
    assert (verdict.passed, verdict.first_model) == (passed, True)
    assert any("There is no blessed model to compare with yet" in reason for reason in verdict.reasons)


def test_a_baseline_that_cannot_be_measured_blocks_rules_against_it():
    verdict = judge(config("auc drop <= 0.01"), measured(0.8), {}, baseline_problem="no such column")
    assert (verdict.passed, verdict.first_model) == (False, False)
    assert "no such column" in verdict.reasons[0]


def test_a_baseline_that_cannot_be_measured_does_not_matter_to_absolute_rules():
    assert judge(config("auc >= 0.7"), measured(0.8), {}, baseline_problem="no such column").passed


def test_slices_that_were_not_measured_are_not_enough_data():
    group = MeasuredGroup((measured(0.9, slice={"hour": "1"}),), unmeasured=3, unmeasured_rows=7)
    rules = config({"metric": "auc", "at_least": 0.7, "slice": "hour"}, not_enough_data="block")
    verdict = judge(rules, measured(0.9), {("hour",): group})
    assert not verdict.passed
    assert "The 3 smallest slices of hour were not measured; each has at most 7 rows" in verdict.reasons[0]


def test_a_column_without_values_is_not_enough_data():
    rules = config({"metric": "auc", "at_least": 0.7, "slice": "hour"})
    verdict = judge(rules, measured(0.9), {("hour",): MeasuredGroup(())})
    assert [each.reason for each in verdict.rules] == ["No row has a value of hour."]


def test_what_blocks_in_any_case_comes_first_and_a_gate_without_rules_says_so():
    assert judge(config(), measured(0.9), {}, blocking=["It cannot be served."]).reasons == ("It cannot be served.",)
    passed = judge(config(), measured(0.9), {})
    assert passed.passed
    assert passed.reasons == ("The gate has no rules, so nothing was asked of the model.",)


def test_long_lists_of_slices_are_cut_and_the_worst_come_first():
    values = [0.1 + hour / 100 for hour in range(20)]
    (reason,) = judge(
        config({"metric": "auc", "at_least": 0.7, "slice": "hour"}), measured(0.9), hours(*values)
    ).reasons
    assert "fails for 20 of 20: hour=0: auc is 0.1," in reason
    assert reason.endswith("; and 15 more.")


def test_the_verdict_is_json_without_not_a_number():
    verdict = judge(config("auc >= 0.8", "auc drop <= 0.1"), measured(None), {})
    written = json.loads(json.dumps(verdict.as_json(), allow_nan=False))
    assert written["rules"][0]["value"] is None
    assert set(written) == {"passed", "reasons", "first_model", "rules"}


number = st.floats(0, 1)
kinds = st.sampled_from(["at_least", "at_most", "drop_at_most", "rise_at_most"])


@given(kinds, number, number, number, number, st.booleans())
def test_tightening_a_bound_never_turns_a_fail_into_a_pass(kind, bound, tighter_by, value, base, confident):
    tighter = bound + tighter_by if kind == "at_least" else max(0.0, bound - tighter_by)
    found = measured(value, baseline=base, value=(value - 0.1, value + 0.1), change=(value - base - 0.1, value - base))
    more = {"confidence": 0.9} if confident else {}
    loose, tight = (
        check(GateRule.model_validate({"metric": "auc", kind: limit, **more}), found).verdict
        for limit in (bound, tighter)
    )
    assert not (loose == "fail" and tight == "pass")


@given(kinds, number, number, number)
def test_asking_for_confidence_never_turns_a_fail_into_a_pass(kind, bound, value, base):
    change = value - base
    found = measured(value, baseline=base, value=(value - 0.1, value + 0.1), change=(change - 0.1, change + 0.1))
    plain, confident = (
        check(GateRule.model_validate({"metric": "auc", kind: bound, "confidence": confidence}), found).verdict
        for confidence in (None, 0.95)
    )
    assert not (plain == "fail" and confident == "pass")
