"""Which values to try next: KerasTuner's oracles, asked and told by one loop for every method."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from components.tuning.config import RangeConfig, TuningConfig
from components.tuning.journal import Journal, Outcome

NEVER = 1_000_000_000
"""Failed trials in a row after which KerasTuner would give up; here only a search without any score fails."""

SEED_STEP = 100_003
"""KerasTuner counts its seed up with each draw, so that neighbouring seeds would draw the same values."""

Evaluate = Callable[[dict[str, Any], int], Outcome]
"""From values and epochs to what came of them."""


@dataclass(frozen=True)
class Trial:
    """One finished trial: its number from 1, its values by dotted path, its epochs at most, and what came of it."""

    number: int
    values: dict[str, Any]
    budget: int
    outcome: Outcome


class Search:
    """Asks for values until the budget is used up.

    Args:
        config: the section.
        direction: `max` or `min`, for the objective.
        epochs: of each trial, or of hyperband's longest ones.
        journal: finished trials; those that are in it are not run again.
        told: called with each finished trial.
    """

    def __init__(
        self,
        config: TuningConfig,
        direction: str,
        epochs: int,
        journal: Journal | None = None,
        told: Callable[[Trial], None] = lambda trial: None,  # noqa: ARG005 - nobody is told
    ) -> None:
        self.config, self.epochs, self.told = config, epochs, told
        self.journal = Journal(None) if journal is None else journal  # an empty one is false
        self.trials: list[Trial] = []
        self._started = 0
        self._began = time.monotonic()
        self._folder = tempfile.TemporaryDirectory(prefix="sluice-tuning-")
        self._oracle = make_oracle(config, direction, epochs, self._folder.name)

    def run(self, evaluate: Evaluate, pool: Executor | None = None) -> list[Trial]:
        """Return all trials in the order in which they began.

        Args:
            evaluate: runs a trial; picklable when there is a pool.
            pool: runs `config.parallel` of them at a time; None runs each here.
        """
        running: dict[Future[Outcome], tuple[Any, Trial]] = {}
        while True:
            while len(running) < self.config.parallel and (proposed := self._next()) is not None:
                made, trial = proposed
                known = self.journal.find(trial.values, trial.budget)
                if known is not None:
                    self._end(made, trial, known)
                elif pool is None:
                    self._keep(made, trial, evaluate(trial.values, trial.budget))
                else:
                    running[pool.submit(evaluate, trial.values, trial.budget)] = proposed
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                made, trial = running.pop(future)
                self._keep(made, trial, future.result())
        self._folder.cleanup()
        return sorted(self.trials, key=lambda trial: trial.number)

    def _next(self) -> tuple[Any, Trial] | None:
        minutes = (time.monotonic() - self._began) / 60
        late = self.config.max_minutes is not None and minutes > self.config.max_minutes
        if self._started >= self.config.most_trials or late:
            return None
        made = self._oracle.create_trial(f"tuner{self._started}")
        if made.status != "RUNNING":
            return None
        self._started += 1
        values = self._values(made.hyperparameters.values)
        budget = int(made.hyperparameters.values.get("tuner/epochs", self.epochs))
        return made, Trial(self._started, values, budget, Outcome(None, 0, 0.0))

    def _values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for path, dimension in self.config.space.items():
            value = drawn[path]
            found[path] = value if isinstance(dimension, RangeConfig) or _is_numeric(dimension) else json.loads(value)
        return found

    def _keep(self, made: Any, trial: Trial, outcome: Outcome) -> None:
        self.journal.add(trial.values, trial.budget, outcome)
        self._end(made, trial, outcome)

    def _end(self, made: Any, trial: Trial, outcome: Outcome) -> None:
        if outcome.score is None:
            made.status = "FAILED"
        else:
            self._oracle.update_trial(made.trial_id, {"objective": outcome.score})
            made.status = "COMPLETED"
        self._oracle.end_trial(made)
        done = Trial(trial.number, trial.values, trial.budget, outcome)
        self.trials.append(done)
        self.told(done)


def best_trial(trials: list[Trial], direction: str) -> Trial | None:
    """Return the best one, of equal ones the earliest; None when all failed.

    Example:
        >>> best_trial([Trial(1, {}, 1, Outcome(0.5, 1, 0.0)), Trial(2, {}, 1, Outcome(0.7, 1, 0.0))], "max").number
        2
    """
    scored = [(trial.outcome.score, trial) for trial in trials if trial.outcome.score is not None]
    sign = -1 if direction == "max" else 1
    return min(scored, key=lambda pair: (sign * pair[0], pair[1].number))[1] if scored else None


def make_oracle(config: TuningConfig, direction: str, epochs: int, folder: str) -> Any:
    """Return KerasTuner's oracle of a method."""
    import keras_tuner

    shared: dict[str, Any] = {
        "objective": keras_tuner.Objective("objective", direction),
        "hyperparameters": hyperparameters(config),
        "allow_new_entries": False,
        # KerasTuner takes 0 for no seed at all
        "seed": config.seed * SEED_STEP + 1,
        "max_consecutive_failed_trials": NEVER,
    }
    oracle: Any
    if config.method == "hyperband":
        oracle = keras_tuner.oracles.HyperbandOracle(max_epochs=epochs, hyperband_iterations=NEVER, **shared)
    else:
        kinds = keras_tuner.oracles
        kind = {
            "grid": kinds.GridSearchOracle,
            "random": kinds.RandomSearchOracle,
            "bayesian": kinds.BayesianOptimizationOracle,
        }[config.method]
        oracle = kind(max_trials=config.most_trials, **shared)
    oracle.verbose = 0
    oracle._set_project_dir(folder, "search")  # noqa: SLF001 - KerasTuner's own Tuner is the only public way
    return oracle


def hyperparameters(config: TuningConfig) -> Any:
    """Return the space as KerasTuner's HyperParameters."""
    import keras_tuner

    space = keras_tuner.HyperParameters()
    for path, dimension in config.space.items():
        if isinstance(dimension, RangeConfig):
            given = (dimension.min, dimension.max)
            if dimension.is_whole:
                space.Int(path, *given, step=_step(dimension), sampling=dimension.scale)
            else:
                low, high = map(float, given)
                space.Float(path, low, high, step=dimension.step, sampling=dimension.scale)
        elif _is_numeric(dimension):
            space.Choice(path, list(dimension), ordered=list(dimension) == sorted(dimension))
        else:
            # KerasTuner chooses among numbers and texts only
            space.Choice(path, [json.dumps(each) for each in dimension], ordered=False)
    return space


def _step(dimension: RangeConfig) -> Any:
    return None if dimension.scale == "log" else dimension.step or 1


def _is_numeric(choices: tuple[Any, ...]) -> bool:
    """Say whether all are whole numbers, or all are not: KerasTuner wants one kind."""
    return {type(each) for each in choices} in ({int}, {float})
