"""Wrong labels planted in well-known data are found, few are found where there are none, none where nothing tells."""

from __future__ import annotations

import csv
import doctest
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import sklearn.datasets

from components.data import label_noise, leakage, out_of_fold
from components.data.label_noise import Doubt, LabelNoise, contradicted, finding, look, write

TASKS = {"breast_cancer": "binary_classification", "digits": "multiclass_classification"}


def well_known(name: str) -> tuple[np.ndarray, np.ndarray]:
    return getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)


def looked_at(inputs: np.ndarray, label: np.ndarray, task: str) -> LabelNoise:
    return look({"x": inputs}, pa.array(label), np.arange(1, len(label) + 1), task)


def flipped(label: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, set[int]]:
    """Return labels of which a share is another class, and the numbers of these rows."""
    rng, wrong = np.random.default_rng(seed), label.copy()
    rows = rng.choice(len(label), int(share * len(label)), replace=False)
    classes = label.max() + 1
    wrong[rows] = (wrong[rows] + rng.integers(1, classes, len(rows))) % classes
    return wrong, {int(row) + 1 for row in rows}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("name", "precision", "recall"), [("breast_cancer", 0.9, 0.6), ("digits", 0.85, 0.65)])
def test_most_of_the_flipped_labels_are_found_and_put_right(
    name: str, precision: float, recall: float, seed: int
) -> None:
    inputs, label = well_known(name)
    given, planted = flipped(label, 0.08, seed)
    noise = looked_at(inputs, given, TASKS[name])
    hits = [doubt for doubt in noise.doubts if doubt.row in planted]
    assert len(hits) >= precision * len(noise.doubts)
    assert len(hits) >= recall * len(planted)
    assert all(doubt.given == str(given[doubt.row - 1]) for doubt in noise.doubts)
    right = [doubt for doubt in hits if doubt.suggested == str(label[doubt.row - 1])]
    assert len(right) >= 0.95 * len(hits)
    margins = [doubt.margin for doubt in noise.doubts]
    assert margins == sorted(margins)
    assert -1 <= margins[0] <= margins[-1] <= -0.5


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "wine", "iris"])
def test_hardly_any_label_of_clean_data_looks_wrong(name: str) -> None:
    noise = looked_at(*well_known(name), TASKS.get(name, "multiclass_classification"))
    assert noise.untold is None
    assert len(noise.doubts) <= 0.005 * noise.rows


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "wine", "iris"])
@pytest.mark.parametrize("seed", [0, 1])
def test_of_labels_that_are_all_noise_nothing_is_said(name: str, seed: int) -> None:
    inputs, label = well_known(name)
    shuffled = np.random.default_rng(seed).permutation(label)
    noise = looked_at(inputs, shuffled, TASKS.get(name, "multiclass_classification"))
    assert noise.doubts == ()
    assert str(noise).startswith("wrong labels: cannot tell, a linear model is not better than no model: accuracy 0.")
    assert finding(noise, "label") is None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_numbers_that_are_off_by_a_factor_are_found(seed: int) -> None:
    inputs, label = well_known("diabetes")
    rng, given = np.random.default_rng(seed), label.copy()
    rows = rng.choice(len(label), 13, replace=False)
    given[rows] *= 10
    noise = looked_at(inputs, given, "regression")
    assert {doubt.row - 1 for doubt in noise.doubts} == set(rows)
    for doubt in noise.doubts:
        assert doubt.margin > 5
        assert doubt.given == f"{given[doubt.row - 1]:g}"
        assert abs(float(doubt.suggested) - label[doubt.row - 1]) < 200
    assert looked_at(inputs, label, "regression").doubts == ()
    shuffled = looked_at(inputs, rng.permutation(label), "regression")
    assert str(shuffled).startswith("wrong labels: cannot tell, a linear model is not better than no model: R² -0.")


def test_the_finding_names_pairs_of_classes_rows_and_what_to_do() -> None:
    inputs = np.repeat([-1.0, 1.0], 100)
    given = np.array([b"cat"] * 100 + [b"dog"] * 100)
    given[[3, 7]], given[150] = b"dog", b"cat"
    noise = looked_at(inputs, given, "multiclass_classification")
    found = finding(noise, "animal")
    assert found is not None
    assert (found.level, found.column, found.where) == ("note", "animal", "data.label")
    assert found.seen.startswith("3 of 200 labels (1.5%) look wrong (dog → cat 2, cat → dog 1); first row ")
    assert all(f"row {row}: " in found.seen for row in (4, 8, 151))
    assert "--label-noise FILE.csv" in found.remedy
    assert str(noise).startswith("wrong labels: 3 of 200 (1.5%) look wrong to a linear model: accuracy 0.985 on")


def test_from_a_tenth_of_the_labels_on_it_is_suspicious() -> None:
    for count, level in ((9, "note"), (10, "suspect")):
        found = finding(LabelNoise(100, (Doubt(7, "a", "b", -0.9),) * count), "label")
        assert found is not None
        assert (found.seen.split()[0], found.level) == (str(count), level)


def test_all_labels_in_doubt_are_written(tmp_path: Path) -> None:
    given, planted = flipped(well_known("digits")[1], 0.08, 0)
    noise = looked_at(well_known("digits")[0], given, "multiclass_classification")
    write(noise, tmp_path / "noise.csv")
    with (tmp_path / "noise.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["row", "given", "suggested", "margin"]
    assert [int(row["row"]) for row in rows] == [doubt.row for doubt in noise.doubts]
    assert len(rows) > 100
    write(LabelNoise(5, untold="too few"), tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_text().split() == ["row,given,suggested,margin"]


@pytest.mark.parametrize(
    ("label", "task", "told"),
    [
        ([0, 1] * 20, "binary_classification", "two classes of 10 rows, and 50 rows in all, are the least"),
        ([0] * 95 + [1] * 5, "binary_classification", "two classes of 10 rows, and 50 rows in all, are the least"),
        ([number // 10 for number in range(2010)], "multiclass_classification", "201 classes are more than 200"),
        ([0.5] * 49 + [float("nan")] * 9, "regression", "50 rows are the least"),
    ],
)
def test_of_too_few_rows_or_too_many_classes_nothing_is_said(label: list[float], task: str, told: str) -> None:
    noise = looked_at(np.arange(float(len(label))), np.array(label), task)
    assert (noise.untold, noise.doubts) == (told, ())


@pytest.mark.parametrize(
    ("wrong", "told"), [(30, "too sure, 30 of 100 labels contradict it: accuracy 0.700"), (20, "")]
)
def test_of_a_model_that_is_too_sure_nothing_is_said(wrong: int, told: str) -> None:
    classes = np.repeat([0, 1], 50)
    says = np.where(np.arange(100) % 50 < wrong / 2, 1 - classes, classes)
    probabilities = np.where(np.eye(2)[says] == 1, 0.99, 0.01)
    noise = contradicted(probabilities, classes, ["a", "b"], np.arange(100))
    assert (len(noise.doubts), told in str(noise)) == (0 if told else wrong, True)


def test_with_few_rows_for_many_columns_the_model_is_less_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    inputs, label = rng.normal(size=(400, 190)), rng.integers(0, 2, 400)
    inputs[:, 0] += label * 3
    careful = looked_at(inputs, label, "binary_classification")
    monkeypatch.setattr(out_of_fold, "FEW_PER_COLUMN", 0)
    careless = looked_at(inputs, label, "binary_classification")
    assert len(careful.doubts) < len(careless.doubts) / 2  # 14 and 39; no label is wrong


def test_small_classes_and_rows_without_a_label_are_left_out() -> None:
    inputs = np.concatenate([np.repeat([-1.0, 1.0], 60), np.zeros(9)])
    label = pa.array([b"a"] * 60 + [b"b"] * 55 + [None] * 5 + [b"rare"] * 9)
    noise = look({"x": inputs}, label, np.arange(1, 130), "multiclass_classification")
    assert (noise.rows, noise.doubts, noise.untold) == (115, (), None)


def test_ids_texts_and_images_tell_wrong_labels_too() -> None:
    rng = np.random.default_rng(0)
    given = np.arange(600) % 2
    ids = given + 2 * rng.integers(0, 20, 600)
    texts = np.where(rng.random((600, 8)) < 0.4, 1 + given[:, None], rng.integers(3, 40, (600, 8)))
    images = rng.random((600, 40, 40, 3), np.float32) * 0.5 + (given * 0.3)[:, None, None, None].astype(np.float32)
    wide = rng.random((600, 2500), np.float32) * 0.01
    wide[:, 2400:] += given[:, None] * 0.01
    wrong, planted = flipped(given, 0.05, 3)
    for inputs in (ids, texts, images, wide):
        found = {doubt.row for doubt in looked_at(inputs, wrong, "binary_classification").doubts}
        assert len(found & planted) >= 0.75 * len(planted)
        assert len(found - planted) <= 0.01 * len(given)


def test_only_the_most_frequent_ids_get_a_column_and_what_is_not_finite_is_the_mean() -> None:
    ids = np.concatenate([np.repeat(np.arange(50), 2), np.arange(50, 90)])
    assert out_of_fold.design({"id": ids}).shape == (140, 50)
    values = np.array([1.0, np.nan, 3.0, np.inf])
    assert out_of_fold.design({"x": values})[:, 0] == pytest.approx([-(2**0.5), 0, 2**0.5, 0])
    assert out_of_fold.design({"x": np.zeros((300, 250))}).shape == (300, 100)


def test_no_row_is_predicted_by_a_model_that_saw_it() -> None:
    rng = np.random.default_rng(0)
    columns, classes = out_of_fold.design({"x": rng.normal(size=(200, 100))}), rng.integers(0, 2, 200)
    # a model of 100 columns can learn 160 rows of noise by heart; of the others it knows nothing
    assert 0.35 < (out_of_fold.probabilities(columns, classes, 2).argmax(axis=1) == classes).mean() < 0.65
    numbers = rng.normal(size=200)
    assert abs(np.corrcoef(out_of_fold.predictions(columns, numbers), numbers)[0, 1]) < 0.3


def test_twenty_thousand_rows_of_fifty_columns_take_seconds() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(20_000, 50))
    given, planted = flipped((inputs @ rng.normal(size=50) > 0).astype(int), 0.08, 0)
    start = time.process_time()
    noise = looked_at(inputs, given, "binary_classification")
    assert time.process_time() - start < 20  # about 2 s; all cores count
    hits = sum(doubt.row in planted for doubt in noise.doubts)
    assert (hits >= 0.95 * len(noise.doubts), hits >= 0.55 * len(planted)) == (True, True)


@pytest.mark.parametrize("module", [label_noise, out_of_fold, leakage])
def test_examples_in_docstrings_are_true(module) -> None:
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
