"""Stacking: different models, and a linear model of their answers to rows that they had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from components.engine.linear_models import logistic, ridge
from components.ensemble.combine import Ensemble
from components.ensemble.config import StackingConfig
from components.ensemble.member import Given, name_of, train_member
from components.ensemble.rows import chosen, in_memory
from components.features import Task
from components.model.config import ModelConfig
from components.training.input_fn import Split

if TYPE_CHECKING:
    import keras

    from components.training.columns import Columns

SMALLEST = 1e-6
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken."""

ROWS_AT_ONCE = 4096

PENALTY = 1.0
"""Of the linear model's squared coefficients."""


def made(config: StackingConfig, given: Given) -> Ensemble:
    """Train members on folds, the linear model on what they say outside of them, then members on all rows.

    Raises:
        ComponentError: the train split is not in memory.
    """
    columns = in_memory(given.train, "stacking")
    models = (None, *config.members)
    answers = [out_of_fold(given, number, model, config.folds) for number, model in enumerate(models)]
    coefficients = _linear(answers, columns, given.task)
    members = [train_member(given, number, name_of(model), None, model) for number, model in enumerate(models)]
    return Ensemble(members, _top(coefficients, given.task))


def out_of_fold(given: Given, number: int, model: ModelConfig | None, folds: int) -> np.ndarray:
    """Return what a member says of each row of the train split when it has learned from the other folds.

    Returns:
        Shape (rows, units).
    """
    columns = in_memory(given.train, "stacking")
    inside = folds_of(columns, folds)
    found: np.ndarray | None = None
    for fold in range(folds):
        rows = np.flatnonzero(inside == fold)
        if not len(rows):
            continue
        part = replace(given, train=chosen(given.train, np.flatnonzero(inside != fold)), places=_within(given, fold))
        trained = train_member(part, number, f"{name_of(model)}, fold {fold + 1} of {folds}", None, model)
        said = _answers(trained.model, chosen(given.train, rows), given.evaluation)
        found = np.zeros((columns.rows, said.shape[1])) if found is None else found
        found[rows] = said
    return np.zeros((0, 1)) if found is None else found


def folds_of(columns: Columns, folds: int) -> np.ndarray:
    """Return the fold of each row by what is in it: a row that is there twice does not tell of itself."""
    return (columns.row_hashes() % folds).astype(np.int64)


def _within(given: Given, fold: int) -> Any:
    places = given.places
    folder = places.checkpoint_folder
    return replace(places, checkpoint_folder=folder and folder / f"fold-{fold + 1}", log_folder=None)


def _answers(model: keras.Model, asked: Split, like: Split) -> np.ndarray:
    """Return what a model says of rows, given the inputs that the eval split has: in training there can be more."""
    columns = in_memory(asked, "stacking")
    named = columns.features(columns.dense, columns.ids)
    features = {each.name: named[each.name] for each in like.inputs}
    parts = [
        {name: values[start : start + ROWS_AT_ONCE] for name, values in features.items()}
        for start in range(0, asked.rows, ROWS_AT_ONCE)
    ]
    return np.concatenate([np.asarray(model(part, training=False), np.float64) for part in parts])


def _linear(answers: Sequence[np.ndarray], columns: Columns, task: Task) -> np.ndarray:
    """Return the coefficients, `[members * units + 1, units]`, the constant last."""
    if task == "regression":
        target = columns.label[:, 0].astype(np.float64)
        return ridge(np.concatenate(answers, axis=1), target, PENALTY, columns.weight)[:, None]
    evidence = np.concatenate([_evidence(each, task) for each in answers], axis=1)
    classes = columns.label[:, 0]
    if task == "binary_classification":
        both = logistic(evidence, classes, 2, PENALTY, columns.weight)
        return both[:, 1:] - both[:, :1]
    return logistic(evidence, classes, answers[0].shape[1], PENALTY, columns.weight)


def _evidence(answers: np.ndarray, task: Task) -> np.ndarray:
    kept = np.clip(answers, SMALLEST, 1 - SMALLEST)
    return np.log(kept) - np.log(1 - kept) if task == "binary_classification" else np.log(kept)


def _top(coefficients: np.ndarray, task: Task) -> Any:
    """Return what computes `_evidence` and the linear model in the exported graph."""

    def top(outputs: list[Any]) -> Any:
        import keras

        joined = keras.layers.Concatenate(name="answers")(outputs)
        if task != "regression":
            kept = keras.ops.clip(joined, SMALLEST, 1 - SMALLEST)
            joined = keras.ops.log(kept)
            if task == "binary_classification":
                joined = joined - keras.ops.log(1 - kept)
        kind = {"binary_classification": "sigmoid", "multiclass_classification": "softmax"}.get(task, "linear")
        layer = keras.layers.Dense(coefficients.shape[1], activation=kind, name="linear_model")
        answer = layer(joined)
        layer.set_weights([coefficients[:-1], coefficients[-1]])
        return answer

    return top
