"""Schedules: each follows Keras' own, lengths in epochs become steps, and mistakes are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components.training.learning_rate import make_schedule
from components.training.schedule_checks import schedule_problems
from components.training.schedules import SCHEDULES, Length
from tests.factories.tumours import train

TEN_EPOCHS = Length(steps_per_epoch=7, epochs=10)


def rates(written: dict[str, Any], steps: int = 70) -> list[float]:
    assert schedule_problems(written, "rate") == []
    schedule = make_schedule(written, TEN_EPOCHS)
    return [float(schedule(step)) for step in range(steps + 1)]


def test_a_cosine_falls_to_alpha_at_the_end_of_the_training():
    found = rates({"cosine_decay": {"initial_learning_rate": 0.1, "alpha": 0.1}})
    assert found[0] == pytest.approx(0.1)
    assert found[35] == pytest.approx(0.055)
    assert found[70] == pytest.approx(0.01)


def test_a_warm_up_rises_evenly_and_the_schedule_begins_after_it():
    found = rates({"cosine_decay": {"initial_learning_rate": 0.1}, "warm_up": {"epochs": 2}})
    assert np.diff(found[:15]) == pytest.approx([0.1 / 15] * 14, rel=1e-4)
    assert found[14] == max(found) == pytest.approx(0.1)
    assert found[70] == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("length", [{"steps": 7}, {"epochs": 1}, {"share": 0.1}])
def test_a_warm_up_is_as_long_in_each_unit(length: dict[str, float]):
    found = rates({"constant": 0.1, "warm_up": length})
    assert found[6] < 0.1
    assert found[7:] == pytest.approx([0.1] * 64)


def test_restarts_begin_high_again():
    found = rates({"cosine_decay_restarts": {"initial_learning_rate": 0.1, "first_decay_epochs": 2, "t_mul": 1}})
    assert found[13] < 0.01
    assert found[14] == found[28] == pytest.approx(0.1)


def test_exponential_and_inverse_time_decay_follow_their_formulas():
    given = {"initial_learning_rate": 0.1, "decay_epochs": 1, "decay_rate": 0.5}
    assert rates({"exponential_decay": given})[14] == pytest.approx(0.025)
    assert rates({"exponential_decay": {**given, "staircase": True}})[13] == pytest.approx(0.05)
    assert rates({"inverse_time_decay": given})[14] == pytest.approx(0.05)


def test_a_polynomial_ends_at_its_end():
    found = rates({"polynomial_decay": {"initial_learning_rate": 0.1, "end_learning_rate": 0.02}})
    assert (found[35], found[70]) == pytest.approx((0.06, 0.02))


@pytest.mark.parametrize("at", [{"boundaries": [6, 13]}, {"boundary_epochs": [1, 2]}])
def test_pieces_change_at_their_boundaries(at: dict[str, Any]):
    found = rates({"piecewise_constant_decay": {**at, "values": [0.3, 0.2, 0.1]}})
    assert found[:15] == pytest.approx([0.3] * 7 + [0.2] * 7 + [0.1])


def test_the_history_has_the_rate_of_each_epochs_last_step(folders: dict[str, str]):
    rate = {
        "exponential_decay": {"initial_learning_rate": 0.08, "decay_epochs": 1, "decay_rate": 0.5, "staircase": True}
    }
    result = train(folders, optimizer={"adam": {"learning_rate": rate}})
    assert [each["learning_rate"] for each in result.epochs] == pytest.approx([0.08, 0.04, 0.02])


def test_a_schedule_changes_what_is_learned_and_the_model_file_needs_no_sluice(folders: dict[str, str], tmp_path: Any):
    import keras

    rate = {"constant": 0.01, "warm_up": {"epochs": 2}}
    plain, warmed = train(folders), train(folders, optimizer={"adam": {"learning_rate": rate}})
    assert warmed.epochs[0]["loss"] > plain.epochs[0]["loss"]
    warmed.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer._learning_rate).__name__ == "PiecewiseConstantDecay"


RATE = {"initial_learning_rate": 0.1}


@pytest.mark.parametrize(
    ("written", "where", "message"),
    [
        ({"cosine": RATE}, "rate.cosine", "Did you mean 'cosine_decay'"),
        ({"warm_up": {"steps": 3}}, "rate", "expected one of constant, cosine_decay"),
        ({"cosine_decay": RATE, "constant": 1}, "rate", "got 'cosine_decay', 'constant'"),
        ({"cosine_decay": {}}, "rate.cosine_decay.initial_learning_rate", "got nothing"),
        (
            {"cosine_decay": {**RATE, "alfa": 1}},
            "rate.cosine_decay.alfa",
            "It takes initial_learning_rate, decay_steps",
        ),
        ({"cosine_decay": {"initial_learning_rate": -1}}, "rate.cosine_decay.initial_learning_rate", "greater than 0"),
        (
            {"cosine_decay": {**RATE, "decay_steps": 5, "decay_epochs": 1}},
            "rate.cosine_decay",
            "at most one of decay_st",
        ),
        (
            {"exponential_decay": {**RATE, "decay_rate": 0.5}},
            "rate.exponential_decay",
            "one of decay_steps and decay_ep",
        ),
        ({"constant": 0.1, "warm_up": {}}, "rate.warm_up", "one of steps, epochs and share"),
        ({"piecewise_constant_decay": {"values": [1]}}, "rate.piecewise_constant_decay", "one of boundaries and bound"),
        (
            {"piecewise_constant_decay": {"boundaries": [2], "values": [1]}},
            "rate.piecewise_constant_decay",
            "2 values, one more than boundaries",
        ),
        (
            {"piecewise_constant_decay": {"boundaries": [2, 1], "values": [1, 2, 3]}},
            "rate.piecewise_constant_decay",
            "boundaries that rise",
        ),
    ],
)
def test_a_wrong_schedule_is_named(written: dict[str, Any], where: str, message: str):
    (problem,) = schedule_problems(written, "rate")
    assert problem.where == where
    assert message in str(problem)


def test_every_schedule_has_a_name():
    assert set(SCHEDULES) == {
        "constant",
        "cosine_decay",
        "cosine_decay_restarts",
        "exponential_decay",
        "inverse_time_decay",
        "polynomial_decay",
        "piecewise_constant_decay",
    }
