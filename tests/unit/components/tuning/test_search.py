"""The loop that asks KerasTuner's oracles, on functions that cost nothing."""

from __future__ import annotations

import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from components.tuning.config import TuningConfig
from components.tuning.journal import FILE, Journal, Outcome
from components.tuning.search import Search, Trial, best_trial

PLANE = {"training.a": {"min": 0.0, "max": 1.0}, "training.b": {"min": 0.0, "max": 1.0}}


def hill(values: dict[str, Any], budget: int) -> Outcome:
    score = -((values["training.a"] - 0.3) ** 2) - (values["training.b"] - 0.8) ** 2
    return Outcome(score, budget, 0.0)


def found(config: TuningConfig, evaluate: Any = hill, journal: Journal | None = None, epochs: int = 5) -> list[Trial]:
    return Search(config, "max", epochs, journal).run(evaluate)


def best_score(config: TuningConfig) -> float:
    best = best_trial(found(config), "max")
    assert best is not None
    assert best.outcome.score is not None
    return best.outcome.score


def test_bayesian_search_comes_closer_than_random_search_on_average_over_seeds() -> None:
    means = {
        method: sum(best_score(TuningConfig(method=method, trials=15, seed=seed, space=PLANE)) for seed in range(4)) / 4
        for method in ("bayesian", "random")
    }

    assert means["bayesian"] > means["random"] / 4, means  # both are below 0: four times closer to the top


def test_a_grid_tries_every_combination_once() -> None:
    space = {"training.a": {"min": 0.0, "max": 1.0, "step": 0.5}, "training.b": [1, 2], "model.u": [[8], [8, 4]]}

    trials = found(TuningConfig(method="grid", space=space), lambda values, budget: Outcome(1.0, budget, 0.0))

    tried = {(each.values["training.a"], each.values["training.b"], str(each.values["model.u"])) for each in trials}
    assert len(trials) == len(tried) == 12
    assert ([8, 4]) in [each.values["model.u"] for each in trials]


def test_hyperband_gives_few_epochs_to_many_and_more_to_the_best_of_them() -> None:
    config = TuningConfig(method="hyperband", trials=13, space={"training.a": {"min": 0.0, "max": 1.0}})

    trials = found(config, lambda values, budget: Outcome(values["training.a"], budget, 0.0), epochs=9)

    by_budget = {budget: [each for each in trials if each.budget == budget] for budget in (1, 3, 9)}
    assert [len(each) for each in by_budget.values()] == [9, 3, 1]
    first = sorted((each.outcome.score or 0.0 for each in by_budget[1]), reverse=True)
    assert sorted((each.outcome.score or 0.0 for each in by_budget[3]), reverse=True) == first[:3]
    assert by_budget[9][0].outcome.score == first[0]


@pytest.mark.parametrize("method", ["random", "bayesian"])
def test_a_search_that_is_killed_goes_on_with_the_same_trials(method: Any, tmp_path: Path) -> None:
    config = TuningConfig(method=method, trials=8, seed=3, space=PLANE)
    whole = found(config)
    ran: list[int] = []

    def dies(values: dict[str, Any], budget: int, after: int) -> Outcome:
        if len(ran) == after:
            raise KeyboardInterrupt
        ran.append(1)
        return hill(values, budget)

    with pytest.raises(KeyboardInterrupt):
        found(config, functools.partial(dies, after=5), Journal(tmp_path))
    with (tmp_path / FILE).open("a") as file:
        file.write('\n{"values": {"training.a"')  # the line that it was writing
    resumed = found(config, functools.partial(dies, after=8), Journal(tmp_path))

    assert [each.values for each in resumed] == [each.values for each in whole]
    assert len(ran) == 8, "five before and three after, none twice"


def test_parallel_random_trials_are_those_of_one_process() -> None:
    space = {"training.a": {"min": 0.0, "max": 1.0}, "training.b": {"min": 0.0, "max": 1.0}}
    alone = found(TuningConfig(method="random", trials=6, space=space))

    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        together = Search(TuningConfig(method="random", trials=6, parallel=2, space=space), "max", 5).run(hill, pool)

    assert [each.values for each in together] == [each.values for each in alone]
    assert [each.outcome.score for each in together] == [each.outcome.score for each in alone]


def test_a_failed_trial_is_recorded_and_the_search_goes_on() -> None:
    def fails_low(values: dict[str, Any], budget: int) -> Outcome:
        return Outcome(None, 0, 0.0, "too low") if values["training.a"] < 0.5 else hill(values, budget)

    trials = found(TuningConfig(method="random", trials=10, space=PLANE), fails_low)

    assert len(trials) == 10
    failed = [each for each in trials if each.outcome.error]
    assert failed
    assert all(each.values["training.a"] < 0.5 for each in failed)
    best = best_trial(trials, "max")
    assert best is not None
    assert best.values["training.a"] >= 0.5


def test_no_trial_begins_when_the_minutes_are_over() -> None:
    config = TuningConfig(method="random", trials=10, max_minutes=1e-9, space=PLANE)

    assert found(config) == []


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"model.x": {"min": 2, "max": 1}}, "min below max, not 2 and 1"),
        ({"model.x": {"min": 0.0, "max": 1, "scale": "log"}}, "min over 0 with scale log"),
        ({"model.x": {"min": 1, "max": 9, "step": 2, "scale": "log"}}, "no step with scale log"),
        ({"model.x": 3}, "for model.x a list of values"),
        ({"model.x": []}, "for model.x a list of values"),
        ({"model.x": [1, 1]}, "each value of model.x once"),
        ({"model.x": {"min": 0.0, "max": 1.0}}, "with method grid, a list of values or a range with a step"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(space: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TuningConfig(method="grid", space=space)
