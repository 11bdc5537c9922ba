"""When a new model is trained: the rules, their order and their words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from components.retraining.config import RetrainingConfig
from components.retraining.decision import RULES, Blessed, Decision, Facts, Training, decide

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
SETTINGS = {"Transform": "a", "Trainer": "b"}
LAST = Training("run-7", NOW - timedelta(hours=30), passed=True, fingerprint="old", settings=SETTINGS)
BLESSED = Blessed(12, NOW - timedelta(days=9))
USUAL = Facts(NOW, LAST, BLESSED, "new", SETTINGS, {"miles": 0.08, "company": 0.01}, span=31)
CONFIG = RetrainingConfig(min_drift=0.05, retrain_on_drift_above=0.2, cool_down_hours=12, max_age_days=30)


def decided(facts: Facts, config: RetrainingConfig = CONFIG) -> Decision:
    return decide(facts, config)


def test_new_data_that_have_drifted_train():
    assert decided(USUAL) == Decision(True, "new_data", ("new data, up to span 31; miles has drifted by 0.080",))


def test_without_any_bound_new_data_train():
    assert decided(USUAL, RetrainingConfig()).reasons == ("new data, up to span 31",)
    assert decided(replace(USUAL, span=None), RetrainingConfig()).reasons == ("new data",)


def test_the_first_run_trains():
    assert decided(Facts(NOW, fingerprint="new")) == Decision(True, "first_model", ("no model was trained yet",))


def test_the_same_data_do_not_train():
    decision = decided(replace(USUAL, fingerprint="old"))
    assert decision == Decision(False, "no_new_data", ("no new data since run run-7",))


def test_the_same_data_train_when_the_spec_says_so():
    facts = replace(USUAL, fingerprint="old")
    decision = decided(facts, RetrainingConfig(skip_without_new_data=False))
    assert (decision.go, decision.rule) == (True, "new_data")
    assert "the same data" in decision.reasons[0]


def test_an_unknown_fingerprint_counts_as_new_data():
    assert decided(replace(USUAL, fingerprint="")).go
    assert decided(replace(USUAL, last=replace(LAST, fingerprint=""), fingerprint="")).go


def test_changed_settings_train_though_the_data_are_the_same():
    facts = replace(USUAL, fingerprint="old", settings={"Transform": "x", "Trainer": "y"})
    decision = decided(facts)
    assert decision.rule == "settings_changed"
    assert decision.reasons[0] == "the settings of Transform and Trainer changed since run run-7"


def test_settings_of_a_run_that_kept_none_do_not_count_as_changed():
    facts = replace(USUAL, last=replace(LAST, settings={}), fingerprint="old")
    assert decided(facts).rule == "no_new_data"


def test_without_a_blessed_model_new_data_train_also_in_the_cool_down():
    blocked = replace(LAST, passed=False, at=NOW - timedelta(hours=1))
    decision = decided(replace(USUAL, last=blocked, blessed=None, drift=None))
    assert (decision.go, decision.rule) == (True, "nothing_blessed")


def test_data_whose_model_was_blocked_do_not_train_again():
    facts = replace(USUAL, last=replace(LAST, passed=False), blessed=None, drift=None, fingerprint="old")
    assert decided(facts).reasons == ("no new data since run run-7, whose model the gate blocked",)


def test_little_drift_does_not_train():
    decision = decided(replace(USUAL, drift={"miles": 0.04, "company": 0.049}))
    assert decision == Decision(False, "little_drift", ("little drift: at most 0.049 (company), below 0.05",))


def test_drift_that_chance_explains_is_none():
    decision = decided(replace(USUAL, drift={"miles": 0.0}))
    assert decision.reasons == ("little drift: no column has moved further than chance explains",)


def test_drift_right_at_the_bound_trains():
    assert decided(replace(USUAL, drift={"miles": 0.05})).go


def test_without_statistics_to_compare_with_drift_decides_nothing():
    assert decided(replace(USUAL, drift=None)).rule == "new_data"


def test_a_model_that_is_too_old_is_trained_again_in_spite_of_little_drift():
    facts = replace(USUAL, drift={"miles": 0.0}, blessed=Blessed(12, NOW - timedelta(days=30)))
    assert decided(facts).reasons == ("version 12 is 30.0 days old, and max_age_days is 30",)


def test_no_model_is_trained_in_the_cool_down():
    facts = replace(USUAL, last=replace(LAST, at=NOW - timedelta(hours=11, minutes=59)))
    decision = decided(facts)
    assert (decision.go, decision.rule) == (False, "cool_down")
    assert decision.reasons[0] == "cool-down: the last training was 12.0 hours ago, less than 12"
    assert decided(replace(USUAL, last=replace(LAST, at=NOW - timedelta(hours=12)))).go


def test_strong_drift_does_not_wait_for_the_cool_down():
    recent = replace(LAST, at=NOW - timedelta(hours=1))
    decision = decided(replace(USUAL, last=recent, drift={"a": 0.21, "b": 0.4, "c": 0.3, "d": 0.5, "e": 0.1}))
    assert (decision.go, decision.rule) == (True, "strong_drift")
    assert decision.reasons[0] == "drift above 0.2: d by 0.500, b by 0.400, c by 0.300, …"
    assert not decided(replace(USUAL, last=recent, drift={"a": 0.2})).go


def test_what_speaks_for_the_same_is_said_too():
    facts = replace(USUAL, last=replace(LAST, at=NOW - timedelta(hours=1)), fingerprint="old", drift={"miles": 0.01})
    decision = decided(facts)
    assert decision.rule == "no_new_data"
    assert [reason.split(" ")[0] for reason in decision.reasons] == ["no", "cool-down:", "little"]


@pytest.mark.parametrize("rule", list(RULES)[:-1])
def test_every_rule_can_be_silent(rule):
    """A rule that always answered would make those behind it unreachable."""
    assert RULES[rule](USUAL, CONFIG) is None


def test_the_last_rule_always_answers():
    assert list(RULES)[-1] == "new_data"
    assert decided(Facts(NOW, replace(LAST, settings={}), BLESSED), RetrainingConfig()).go


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"min_drift": 0.3, "retrain_on_drift_above": 0.1}, "no drift could be between them"),
        ({"min_drift": 0}, "greater than 0"),
        ({"min_drift": 1.5}, "less than or equal to 1"),
        ({"cool_down_hours": -1}, "greater than or equal to 0"),
        ({"max_age_days": 0}, "greater than 0"),
        ({"cooldown": 3}, "Extra inputs are not permitted"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(keys, message):
    with pytest.raises(ValidationError, match=message):
        RetrainingConfig.model_validate(keys)
