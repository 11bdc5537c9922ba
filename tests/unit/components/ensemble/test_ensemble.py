"""Ensembles on real tumours: members differ, their mean is what is exported, and the gain is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from components.engine.linear_models import logistic, ridge
from components.ensemble.config import EnsembleConfig
from components.ensemble.fit import EnsembleResult, fit_ensemble
from components.ensemble.gain import Scored
from components.ensemble.kinds.bagging import bootstrap
from components.ensemble.kinds.snapshot import cycle_config
from components.ensemble.kinds.stacking import PENALTY, folds_of, out_of_fold
from components.ensemble.member import Given, train_member
from components.errors import ComponentError
from components.model.build import build_model
from components.model.config import ModelConfig
from components.training.config import TrainingConfig
from components.training.input_fn import Split
from components.training.places import Places
from tests.factories.tumours import INPUTS, build, same

TASK = "binary_classification"
Data = tuple[Split, Split]


def given(data: Data, places: Places | None = None, **options: Any) -> Given:
    written = {"epochs": 4, "batch_size": 64, "tensorboard": False, "optimizer": {"adam": {"learning_rate": 0.01}}}
    config = TrainingConfig.model_validate({**written, **options})

    def build_any(model: ModelConfig | None) -> Any:
        return build() if model is None else build_model(model, INPUTS, TASK, 2)

    return Given(build_any, config, TASK, *data, places or Places())


def ensemble(data: Data, written: dict[str, Any], places: Places | None = None, **options: Any) -> EnsembleResult:
    return fit_ensemble(EnsembleConfig.model_validate(written), given(data, places, **options))


def rows(split: Split) -> dict[str, np.ndarray]:
    assert split.columns is not None
    return split.columns.features(split.columns.dense, split.columns.ids)


def answers(model: Any, split: Split) -> np.ndarray:
    return np.asarray(model(rows(split), training=False))


def members(result: EnsembleResult) -> list[Any]:
    return [result.model.get_layer(f"member_{number + 1}") for number in range(len(result.ensemble["members"]))]


@pytest.fixture(scope="module")
def bagged(data: Data) -> EnsembleResult:
    return ensemble(data, {"bagging": {"members": 3}})


@pytest.fixture(scope="module")
def voting(data: Data) -> EnsembleResult:
    return ensemble(data, {"voting": {"members": [{"family": "linear"}, {"family": "wide_and_deep"}]}})


def test_members_of_bagging_differ_and_the_saved_model_answers_with_their_mean(
    bagged: EnsembleResult, data: Data, tmp_path: Path
):
    import keras

    each = [answers(member, data[1]) for member in members(bagged)]
    assert all(np.abs(one - other).max() > 0.01 for one, other in ((each[0], each[1]), (each[1], each[2])))
    bagged.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(answers(loaded, data[1]), np.mean(each, axis=0), atol=1e-6)


def test_a_bootstrap_leaves_out_about_one_row_in_e_and_draws_others_more_than_once(data: Data):
    train = data[0]
    drawn = bootstrap(train, 1.0, (0, 0))
    assert drawn.rows == train.rows == drawn.columns.rows
    different = np.unique(drawn.columns.dense, axis=0).shape[0] / np.unique(train.columns.dense, axis=0).shape[0]
    assert different == pytest.approx(1 - np.exp(-1), abs=0.06)
    other = bootstrap(train, 1.0, (0, 1))
    assert not np.array_equal(drawn.columns.dense, other.columns.dense)
    assert np.array_equal(drawn.columns.dense, bootstrap(train, 1.0, (0, 0)).columns.dense)


def test_features_labels_and_weights_are_drawn_together(data: Data):
    columns = replace(data[0].columns, weight=np.arange(data[0].rows, dtype=np.float32))
    drawn = bootstrap(replace(data[0], columns=columns), 0.5, (3, 0)).columns
    at = drawn.weight.astype(int)
    assert drawn.rows == 200
    for name in ("dense", "ids", "label"):
        assert np.array_equal(getattr(drawn, name), getattr(columns, name)[at])


def test_bagging_needs_the_train_split_in_memory(data: Data):
    with pytest.raises(ComponentError, match="The train split is not in memory, and bagging chooses rows there"):
        ensemble((replace(data[0], columns=None), data[1]), {"bagging": {}})


def test_the_same_seed_gives_the_same_ensemble(bagged: EnsembleResult, data: Data):
    assert same(bagged, ensemble(data, {"bagging": {"members": 3}}))


def test_voting_answers_with_the_mean_of_different_families(voting: EnsembleResult, data: Data):
    assert [row["name"] for row in voting.ensemble["members"]] == ["model", "linear", "wide_and_deep"]
    assert len({row["parameters"] for row in voting.ensemble["members"]}) == 3
    mean = np.mean([answers(member, data[1]) for member in members(voting)], axis=0)
    np.testing.assert_allclose(answers(voting.model, data[1]), mean, atol=1e-6)


def test_weights_of_voting_are_shares_of_the_answer(data: Data):
    result = ensemble(data, {"voting": {"members": [{"family": "linear"}], "weights": [3, 1]}}, epochs=1)
    first, second = (answers(member, data[1]) for member in members(result))
    np.testing.assert_allclose(answers(result.model, data[1]), 0.75 * first + 0.25 * second, atol=1e-6)


def test_the_first_member_is_the_model_as_it_is_trained_alone(voting: EnsembleResult, data: Data):
    from components.training.fit import fit

    alone = given(data)
    fitted = fit(build, alone.config, TASK, *data)
    np.testing.assert_allclose(answers(members(voting)[0], data[1]), answers(fitted.model, data[1]), atol=1e-6)


def test_snapshot_takes_the_weights_at_the_ends_of_the_cycles_and_goes_on_from_them(data: Data):
    from components.training.fit import fit

    result = ensemble(data, {"snapshot": {"cycles": 2}}, epochs=5)
    assert [row["epochs"] for row in result.ensemble["members"]] == [3, 2]
    first = fit(build, cycle_config(given(data, epochs=5).config, 2, 0), TASK, *data)
    np.testing.assert_allclose(answers(members(result)[0], data[1]), answers(first.model, data[1]), atol=1e-6)
    losses = [epoch["loss"] for epoch in result.epochs]
    assert losses[3] < losses[0] / 1.5  # the second cycle does not begin anew
    rates = [epoch["learning_rate"] for epoch in result.epochs]
    assert rates[0] > rates[1] > rates[2]
    assert rates[2] < 0.001 < rates[3]


@pytest.fixture(scope="module")
def stacked(data: Data) -> EnsembleResult:
    return ensemble(data, {"stacking": {"members": [{"family": "linear"}], "folds": 2}}, epochs=3)


def test_a_stack_answers_with_a_linear_model_of_its_members_wherever_it_is_loaded(
    stacked: EnsembleResult, data: Data, tmp_path: Path
):
    import keras

    each = [answers(member, data[1]).astype(float) for member in members(stacked)]
    kernel, constant = stacked.model.get_layer("linear_model").get_weights()
    evidence = np.concatenate([np.log(said) - np.log(1 - said) for said in each], axis=1)
    expected = 1 / (1 + np.exp(-(evidence @ kernel + constant)))
    stacked.model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(answers(loaded, data[1]), expected, atol=1e-4)
    assert stacked.ensemble["metrics"]["val_auc"] > 0.97


def test_what_a_stack_learns_from_was_not_seen(data: Data):
    """With labels drawn by lot, a model knows those it has learned and no others."""
    from sklearn.metrics import roc_auc_score

    columns = data[0].columns
    lot = np.random.default_rng(0).integers(0, 2, columns.label.shape)
    random = replace(data[0], columns=replace(columns, label=lot))
    wide = ModelConfig.model_validate({"family": "mlp", "hidden_units": [128]})
    learned = replace(given((random, data[1]), epochs=25), train=random)
    said = out_of_fold(learned, 0, wide, folds=2)
    assert said.shape == (400, 1)
    assert 0.4 < roc_auc_score(lot[:, 0], said[:, 0]) < 0.6
    seen = answers(train_member(learned, 0, "wide", None, wide).model, random)
    assert roc_auc_score(lot[:, 0], seen[:, 0]) > 0.8


def test_equal_rows_are_in_one_fold_and_folds_are_of_like_size(data: Data):
    columns = data[0].columns
    twice = replace(
        columns, **{name: np.concatenate([getattr(columns, name)] * 2) for name in ("dense", "ids", "label")}
    )
    folds = folds_of(twice, 4)
    assert np.array_equal(folds[:400], folds[400:])
    assert np.bincount(folds, minlength=4).min() > 140


def test_the_linear_model_of_a_stack_is_scikit_learns():
    from sklearn.linear_model import LogisticRegression, Ridge

    random = np.random.default_rng(1)
    columns, weight = random.normal(size=(300, 2)), random.uniform(0.5, 2, 300)
    classes = np.digitize(columns @ [1.0, -2.0] + random.normal(size=300), [-1, 1])
    model = LogisticRegression(C=1.0, tol=1e-8).fit(columns, classes, weight)
    found = logistic(columns, classes, 3, PENALTY, weight)
    scores = columns @ found[:-1] + found[-1]
    probability = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probability, model.predict_proba(columns), atol=1e-3)
    target = columns @ [3.0, 1.0] + 5
    line = Ridge(alpha=1.0).fit(columns, target, weight)
    np.testing.assert_allclose(ridge(columns, target, PENALTY, weight), [*line.coef_, line.intercept_], rtol=1e-6)


def test_a_cycle_begins_with_the_rate_that_keras_has_where_the_spec_names_none():
    for name, rate in (("sgd", 0.01), ("adam", 0.001)):
        config = cycle_config(TrainingConfig(epochs=4, optimizer=name), 2, 0)
        assert config.optimizer.arguments["learning_rate"]["cosine_decay"]["initial_learning_rate"] == rate


def test_history_has_each_member_the_ensemble_and_the_gain(voting: EnsembleResult, data: Data):
    history = voting.history()
    found = history["ensemble"]
    assert [epoch["epoch"] for epoch in history["epochs"]] == list(range(1, 13))
    assert [epoch["member"] for epoch in history["epochs"]] == [1] * 4 + [2] * 4 + [3] * 4
    label = data[1].columns.label[:, 0]
    said = answers(voting.model, data[1])[:, 0]
    loss = -np.mean(np.where(label == 1, np.log(said), np.log(1 - said)))
    assert history["metrics"]["val_loss"] == pytest.approx(loss, rel=1e-4)
    best = min(row["val_loss"] for row in found["members"])
    assert found["gain"]["loss"] == pytest.approx(best - loss, rel=1e-3, abs=1e-5)
    assert found["gain"]["low"] < found["gain"]["loss"] < found["gain"]["high"]
    assert found["members"][found["gain"]["best_member"] - 1]["val_loss"] == best
    assert "voting of 3 members" in history["notes"][-1]


def test_members_of_noisy_models_gain_more_than_chance(data: Data):
    """The members see half of few rows each, so that they err in different places: the mean must be better."""
    columns = data[0].columns
    few = replace(columns, dense=columns.dense[:60], ids=columns.ids[:60], label=columns.label[:60])
    small = replace(data[0], columns=few, rows=60)
    result = ensemble((small, data[1]), {"bagging": {"members": 4, "sample": 0.4}}, epochs=20)
    mean = np.mean([row["val_loss"] for row in result.ensemble["members"]])
    assert result.ensemble["metrics"]["val_loss"] < mean * 0.9


def test_weights_of_rows_count_in_the_scores(data: Data):
    import keras

    model = keras.models.clone_model(build())
    only_first = np.zeros(data[1].rows, np.float32)
    only_first[:5] = 1
    weighted = replace(data[1], weighted=True, columns=replace(data[1].columns, weight=only_first))
    score = Scored(model, weighted, TASK)
    assert score.metrics["val_loss"] == pytest.approx(score.losses[:5].mean())


def test_finished_members_are_not_trained_again_and_each_has_logs_of_its_own(data: Data, tmp_path: Path):
    places = Places(checkpoint_folder=tmp_path / "checkpoints", log_folder=tmp_path / "logs")
    first = ensemble(data, {"bagging": {"members": 2}}, places)
    again = ensemble(data, {"bagging": {"members": 2}}, places)
    assert first.resumed_from_epoch == 0
    assert again.resumed_from_epoch == 8
    assert same(first, again)
    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"member-1", "member-2"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({}, "one of voting, stacking, bagging, snapshot"),
        ({"bagging": {}, "snapshot": {}}, "one of voting, stacking, bagging, snapshot"),
        ({"voting": {"members": [{"family": "linear"}], "weights": [1]}}, "2 weights, that of section model first"),
        ({"voting": {"members": [{"module": "own.py"}]}}, "a model of your own belongs in section model"),
        ({"stacking": {"members": [{"module": "own.py"}]}}, "a model of your own belongs in section model"),
        ({"stacking": {"members": [{"family": "linear"}], "folds": 1}}, "greater than or equal to 2"),
        ({"stacking": {"members": []}}, "at least 1 item"),
        ({"bagging": {"members": 1}}, "greater than or equal to 2"),
        ({"bagging": {"sample": 0}}, "greater than 0"),
        ({"snapshot": {"cycles": 1}}, "greater than or equal to 2"),
    ],
)
def test_a_wrong_section_says_what_is_expected(written: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        EnsembleConfig.model_validate(written)
