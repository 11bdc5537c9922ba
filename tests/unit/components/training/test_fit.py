"""Fitting: it learns, it is deterministic, and each option does what it says; on real data and real Keras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.engine.examples import ExampleWriter
from components.errors import ComponentError
from components.features import LABEL, WEIGHT
from components.training.distribution import Distribution
from components.training.input_fn import open_split
from components.training.places import Places
from tests.factories.tumours import INPUTS, NAMES, same, splits, train, write


def test_it_learns_and_its_history_says_so(folders: dict[str, str]):
    result = train(folders, epochs=8)
    assert [each["epoch"] for each in result.epochs] == list(range(1, 9))
    assert result.epochs[-1]["loss"] < result.epochs[0]["loss"] / 2
    assert result.epochs[-1]["val_auc"] > 0.97
    assert result.epochs[0]["learning_rate"] == pytest.approx(0.01)
    assert result.history()["parameters"] == result.model.count_params()
    assert result.best_epoch == 8
    json.dumps(result.history())


@pytest.mark.parametrize("cache", ["always", "never"])
def test_the_same_seed_gives_the_same_weights(folders: dict[str, str], cache: str):
    one, two, other = (train(folders, cache=cache, seed=seed) for seed in (3, 3, 4))
    assert same(one, two)
    assert not same(one, other)
    values = [[each["val_loss"] for each in result.epochs] for result in (one, two)]
    assert values[0] == values[1]


@pytest.mark.parametrize("steps", [1, 3, 1000])
def test_steps_per_execution_does_not_change_the_weights(folders: dict[str, str], steps: int):
    """400 rows make 7 batches of 64, the last one of 16 rows: no number of steps per call may lose or repeat one."""
    assert same(train(folders, steps_per_execution=steps), train(folders, steps_per_execution=7))


def test_without_early_stopping_all_epochs_run(folders: dict[str, str]):
    result = train(folders, epochs=6, optimizer={"adam": {"learning_rate": 1e-9}})
    assert len(result.epochs) == 6


def test_early_stopping_stops_and_keeps_the_best_weights(folders: dict[str, str]):
    # So large a rate overshoots soon.
    rate = {"sgd": {"learning_rate": 0.5, "momentum": 0.95}}
    result = train(folders, epochs=60, early_stopping={"patience": 3}, optimizer=rate)
    losses = [each["val_loss"] for each in result.epochs]
    assert len(losses) < 60
    assert len(losses) == result.best_epoch + 3
    assert losses[result.best_epoch - 1] == min(losses)
    score = result.model.evaluate(*_rows(folders), verbose=0, return_dict=True)["loss"]
    assert score == pytest.approx(min(losses), rel=1e-5)


def _rows(folders: dict[str, str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    columns = splits(folders)[1].columns
    assert columns is not None
    return columns.features(columns.dense, columns.ids), columns.label


def test_early_stopping_can_watch_a_metric_that_should_rise(folders: dict[str, str]):
    result = train(folders, epochs=40, early_stopping={"patience": 2, "monitor": "val_auc"})
    areas = [each["val_auc"] for each in result.epochs]
    assert areas[result.best_epoch - 1] == max(areas)
    assert areas[result.best_epoch - 1] > areas[0]


def test_the_learning_rate_falls_when_the_loss_stalls(folders: dict[str, str]):
    options = {"patience": 1, "factor": 0.1, "minimum": 1e-4}
    rate = {"sgd": {"learning_rate": 0.5, "momentum": 0.95}}
    result = train(folders, epochs=20, reduce_learning_rate=options, optimizer=rate)
    rates = [each["learning_rate"] for each in result.epochs]
    assert rates[0] == pytest.approx(0.5)
    assert rates[-1] < 0.1
    assert min(rates) >= 1e-4 * (1 - 1e-6)
    assert rates == sorted(rates, reverse=True)


def test_tensorboard_logs_are_readable(folders: dict[str, str], tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(folders, Places(log_folder=tmp_path / "logs"))
    read = EventAccumulator(str(tmp_path / "logs" / "validation"))
    read.Reload()
    assert "epoch_auc" in read.Tags()["tensors"]
    assert len(read.Tensors("epoch_auc")) == len(result.epochs) == 3


def test_weights_of_examples_count(folders: dict[str, str]):
    """A hundred times the weight on one class moves predictions towards it."""
    features, _ = _rows(folders)
    plain, weighted = (train(folders, weighted=flag, epochs=2) for flag in (False, True))
    means = [float(np.mean(result.model.predict(features, verbose=0))) for result in (plain, weighted)]
    assert means[1] > means[0] + 0.05


def test_memory_and_files_give_the_same_batches(folders: dict[str, str]):
    cached, streamed = splits(folders, cache="always"), splits(folders, cache="never")
    assert cached[1].columns is not None
    assert streamed[1].columns is None
    assert [split.rows for split in cached] == [split.rows for split in streamed] == [400, 169]
    from components.training.input_fn import evaluation_dataset

    batches = [list(evaluation_dataset(each[1], 100)) for each in (cached, streamed)]
    assert [len(batch[1]) for batch in batches[0]] == [100, 69]
    for (x, y), (other_x, other_y) in zip(*batches, strict=True):
        np.testing.assert_array_equal(y, other_y)
        assert x.keys() == other_x.keys()
        for name in x:
            np.testing.assert_array_equal(x[name], other_x[name])
            assert x[name].dtype == other_x[name].dtype


@pytest.mark.parametrize("cache", ["always", "never"])
def test_each_epoch_has_every_row_once_in_an_order_of_its_own(folders: dict[str, str], cache: str):
    from components.training.input_fn import EpochOrder, training_dataset

    split = splits(folders, cache=cache)[0]
    order = EpochOrder(seed=1)
    dataset = training_dataset(split, 64, order)

    def rows() -> np.ndarray:
        return np.concatenate([x["measurement_0"].numpy()[:, 0] for x, _ in dataset])

    first, again = rows(), rows()
    order.epoch = 1
    second = rows()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first), np.sort(second))
    assert len(first) == 400
    # A run that starts with this epoch sees the same order.
    fresh = EpochOrder(seed=1)
    fresh.epoch = 1
    resumed = np.concatenate([x["measurement_0"].numpy()[:, 0] for x, _ in training_dataset(split, 64, fresh)])
    np.testing.assert_array_equal(second, resumed)


def test_progress_says_each_epoch(folders: dict[str, str], tmp_path: Path):
    train(folders, Places({"progress": str(tmp_path / "progress.jsonl")}))
    events = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    ends = [event for event in events if "val_auc" in event["text"]]
    assert [event["done"] for event in ends] == [1, 2, 3]
    assert {event["component"] for event in ends} == {"Trainer"}
    assert ends[-1]["text"].startswith("epoch 3/3, ")


def test_a_loss_that_is_no_number_stops_with_a_remedy(folders: dict[str, str]):
    with pytest.raises(ComponentError, match=r"loss became nan in epoch \d+.*Lower the learning rate") as caught:
        train(folders, epochs=40, optimizer={"sgd": {"learning_rate": 1e30, "momentum": 0.99}})
    assert caught.value.spec_path == "training.optimizer"


def test_optimizers_are_the_ones_named(folders: dict[str, str]):
    for name in ("adamw", "sgd", "rmsprop", "adagrad", "ftrl", "lion"):
        result = train(folders, epochs=1, optimizer=name)
        assert type(result.model.optimizer).__name__.lower() == name


@pytest.mark.parametrize(
    ("column", "value", "message", "where"),
    [
        ("measurement_3", np.nan, "1 of 4 rows have no usable value of model input 'measurement_3'", "transform"),
        ("measurement_3", np.inf, "expected finite numbers.*fill_missing", "transform.measurement_3"),
        ("size", 10, "expected ids from 0 to 9", "transform.size"),
        (LABEL, 2, "the label; expected classes from 0 to 1", "data.label"),
        (WEIGHT, -1.0, "the weight; expected numbers from 0", "data.weight"),
    ],
)
def test_values_nothing_can_be_learnt_from_are_named(
    tmp_path: Path, column: str, value: float, message: str, where: str
):
    columns: dict[str, Any] = {name: np.ones(4, "float32") for name in NAMES}
    columns |= {"size": np.arange(4), LABEL: np.array([0, 1, 0, 1]), WEIGHT: np.ones(4, "float32")}
    columns[column] = columns[column].copy()
    columns[column][2] = value
    folder = write(tmp_path / "Split-train", columns)
    with pytest.raises(ComponentError, match=message) as caught:
        open_split(folder, INPUTS, "binary_classification", 2, weighted=True)
    assert (caught.value.spec_path or "").startswith(where)


def test_an_empty_split_is_refused(tmp_path: Path):
    with ExampleWriter(tmp_path / "Split-eval"):
        pass
    for cache in ("auto", "never"):
        with pytest.raises(ComponentError, match=r"eval split has no rows.*data.split"):
            open_split(str(tmp_path / "Split-eval"), INPUTS, "binary_classification", 2, cache=cache)


def test_mirrored_on_one_device_works_and_says_what_it_costs(folders: dict[str, str], tmp_path: Path):
    result = train(folders, Places({"progress": str(tmp_path / "p")}), strategy="mirrored", epochs=6)
    assert result.epochs[-1]["val_auc"] > 0.97
    assert "one device only" in result.notes[0]
    assert "one device only" in (tmp_path / "p").read_text()
    assert train(folders, strategy="auto", epochs=1).notes == []


def test_steps_per_execution_are_at_most_those_of_an_epoch():
    assert Distribution().steps_per_execution(8, 100) == 8
    assert Distribution().steps_per_execution(8, 3) == 3
