"""Laws that every balancing step found in the folder keeps, and imbalanced-learn's results on the same data."""

from __future__ import annotations

import doctest
import importlib
from typing import Any

import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML
from scipy.stats import ks_2samp
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.preprocessing import StandardScaler

from components import catalog
from components.balancing.config import STEPS, BalancingConfig
from components.balancing.rows import Rows
from components.errors import ComponentError
from components.features import ModelInput
from components.transform.outputs import out_of_fold_name

NAMES = catalog.names(STEPS)
WRITTEN = {
    "random_undersample": "random_undersample: 0.5",
    "random_oversample": "random_oversample: 0.5",
    "smote": "smote: {ratio: 0.5, k: 5}",
    "borderline_smote": "borderline_smote: {ratio: 0.5, k: 5, m: 10}",
    "smote_nc": "smote_nc: {ratio: 0.5, k: 5}",
}
SMOTES = ("smote", "borderline_smote", "smote_nc")
X = StandardScaler().fit_transform(load_breast_cancer().data).astype(np.float32)[:, :6]
Y = 1 - load_breast_cancer().target  # 1 is malignant
KEEP = np.sort(np.concatenate([np.flatnonzero(Y == 0), np.flatnonzero(Y == 1)[::4]]))
X, Y = X[KEEP], Y[KEEP]  # 357 benign, 53 malignant tumours
NUMBERS = [ModelInput(f"x{at}", "float32") for at in range(6)]
MIXED = [*NUMBERS, ModelInput("id", "int64", (1,), 4), ModelInput("hot", "float32", (3,))]


def table_of(x: np.ndarray = X, inputs: list[ModelInput] = NUMBERS) -> dict[str, np.ndarray]:
    """Return columns; the categories of mixed ones are thirds and quarters of two numbers."""
    table = {f"x{at}": x[:, [at]] for at in range(6)}
    if len(inputs) > 6:
        table["id"] = np.digitize(x[:, [0]], np.quantile(X[:, 0], [0.25, 0.5, 0.75])).astype(np.int64)
        table["hot"] = np.eye(3, dtype=np.float32)[np.digitize(x[:, 1], np.quantile(X[:, 1], [0.33, 0.66]))]
    return {**table, "label": Y[: len(x)][:, None].astype(np.int64), "weight": np.linspace(1, 2, len(x))[:, None]}


def step_of(name: str, **changes: Any):
    assert name in WRITTEN, f"write a line for {name} into WRITTEN, so that the laws are tried on it"
    step = BalancingConfig.model_validate([YAML(typ="safe").load(WRITTEN[name])]).steps[0]
    return step.model_copy(update=changes)


def balanced(name: str, inputs: list[ModelInput] = NUMBERS, seed: int = 0, **changes: Any) -> Rows:
    rows = Rows.in_memory(inputs, Y, table_of(inputs=inputs))
    return step_of(name, **changes).balance(rows, np.random.default_rng(seed))


def everything(rows: Rows) -> dict[str, np.ndarray]:
    return rows.columns(np.arange(len(rows.members)))


@pytest.mark.parametrize("name", NAMES)
def test_a_step_comes_back_from_its_own_dump(name: str) -> None:
    assert BalancingConfig.model_validate([step_of(name).model_dump(mode="json")]).steps[0] == step_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_refuses_unknown_parameters_and_ratios_beyond_one(name: str) -> None:
    for wrong in ({"no_such_parameter": 1}, {"ratio": 1.5}, {"ratio": 0}):
        with pytest.raises(ValidationError):
            type(step_of(name)).model_validate(wrong)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ratio", [0.3, 0.5, 1.0])
def test_a_step_reaches_its_ratio(name: str, ratio: float) -> None:
    counts = balanced(name, ratio=ratio).counts()
    assert abs(ratio - counts[1] / counts[0]) < 1 / counts[0] + 1 / counts[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_draws_the_same_with_the_same_seed_and_other_rows_with_another(name: str) -> None:
    first, second, other = (everything(balanced(name, seed=seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(first[column], second[column]) for column in first)
    assert not np.array_equal(first["x0"], other["x0"])


@pytest.mark.parametrize("name", NAMES)
def test_a_step_leaves_classes_alone_that_are_balanced_enough(name: str) -> None:
    rows = Rows.in_memory(NUMBERS, Y, table_of())
    assert step_of(name, ratio=0.1).balance(rows, np.random.default_rng(0)).members.tolist() == rows.members.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_steps_follow_each_other(name: str) -> None:
    """Rows that a step has made can be drawn, repeated and interpolated from by the next one."""
    random = np.random.default_rng(0)
    for before in NAMES:
        rows = step_of(before, ratio=0.3).balance(Rows.in_memory(NUMBERS, Y, table_of()), random)
        after = step_of(name, ratio=0.8).balance(rows, random)
        counts = after.counts()
        assert 0.79 < counts[1] / counts[0] < 0.81
        found = everything(after)
        assert np.array_equal(found["label"].ravel(), after.labels)


@pytest.mark.parametrize("name", NAMES)
def test_each_of_several_classes_reaches_the_ratio(name: str) -> None:
    wine = load_wine()
    x = StandardScaler().fit_transform(wine.data).astype(np.float32)
    keep = np.concatenate([np.flatnonzero(wine.target == 0)[:20], np.flatnonzero(wine.target > 0)])
    inputs = [ModelInput("x", "float32", (3,))]
    rows = Rows.in_memory(inputs, wine.target[keep], {"x": x[keep, :3]})
    counts = step_of(name, ratio=0.9).balance(rows, np.random.default_rng(0)).counts()
    expected = {0: 20, 1: 22, 2: 22} if name == "random_undersample" else {0: 63, 1: 71, 2: 63}
    assert counts == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_a_steps_docstring_is_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"{STEPS}.{name}"))
    assert found.attempted > 0
    assert found.failed == 0


def theirs(name: str, **parameters: Any) -> tuple[np.ndarray, np.ndarray]:
    made = {
        "random_undersample": imblearn.under_sampling.RandomUnderSampler,
        "random_oversample": imblearn.over_sampling.RandomOverSampler,
        "smote": imblearn.over_sampling.SMOTE,
        "borderline_smote": imblearn.over_sampling.BorderlineSMOTE,
    }[name]
    return made(sampling_strategy=0.5, random_state=0, **parameters).fit_resample(X, Y)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "smote_nc"])
def test_imbalanced_learn_has_as_many_rows_of_each_class_and_a_like_distribution(name: str) -> None:
    x, y = theirs(name)
    ours = balanced(name)
    assert ours.counts() == dict(enumerate(np.bincount(y).tolist()))
    found = everything(ours)
    for at in range(6):
        for label in (0, 1):
            ours_of_class, theirs_of_class = found[f"x{at}"][ours.labels == label, 0], x[y == label, at]
            assert ks_2samp(ours_of_class, theirs_of_class).pvalue > 0.01


def test_imbalanced_learn_makes_mixed_rows_of_a_like_distribution() -> None:
    table = table_of(inputs=MIXED)
    packed = np.hstack([X, table["id"], table["hot"].argmax(1)[:, None]])
    sampler = imblearn.over_sampling.SMOTENC([6, 7], sampling_strategy=0.5, random_state=0)
    x, y = sampler.fit_resample(packed, Y)
    ours = balanced("smote_nc", MIXED)
    assert ours.counts() == dict(enumerate(np.bincount(y).tolist()))
    new, new_theirs = {name: values[len(Y) :] for name, values in everything(ours).items()}, x[len(Y) :]
    for at in range(6):
        assert ks_2samp(new[f"x{at}"][:, 0], new_theirs[:, at]).pvalue > 0.001
    for values, column, kinds in ((new["id"][:, 0], 6, 4), (new["hot"].argmax(1), 7, 3)):
        shares = [
            np.bincount(each.astype(int), minlength=kinds) / len(each) for each in (values, new_theirs[:, column])
        ]
        assert np.abs(shares[0] - shares[1]).max() < 0.12


def minority_neighbours(points: np.ndarray, k: int) -> np.ndarray:
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1)[:, :k]


@pytest.mark.parametrize("name", ["smote", "borderline_smote"])
def test_each_new_point_lies_between_a_rare_row_and_one_of_its_k_nearest(name: str) -> None:
    rows = balanced(name, ratio=1.0)
    found = everything(rows)
    new = np.hstack([found[f"x{at}"][len(Y) :] for at in range(6)]).astype(np.float64)
    rare = X[Y == 1].astype(np.float64)
    starts = np.cumsum(Y)[rows.anchors[rows.members[len(Y) :]]] - 1
    near = minority_neighbours(rare, 5)
    assert len(new) == 304
    for point, start in zip(new, starts, strict=True):
        line = rare[near[start]] - rare[start]
        share = (line @ (point - rare[start])) / (line**2).sum(axis=1)
        off = np.linalg.norm(rare[start] + share[:, None] * line - point, axis=1)
        assert ((off < 1e-5) & (share > -1e-5) & (share < 1 + 1e-5)).any()


def test_new_rows_carry_their_class_and_a_weight_in_between() -> None:
    rows = balanced("smote", ratio=1.0)
    new = {name: values[len(Y) :] for name, values in everything(rows).items()}
    assert (new["label"] == 1).all()
    assert ((new["weight"] > 1) & (new["weight"] < 2)).all()
    assert len(np.unique(new["weight"])) > 250


def test_what_training_reads_in_place_of_an_input_decides_who_is_near_and_is_interpolated_too() -> None:
    table = table_of()
    fold = out_of_fold_name("x0")
    rows = Rows.in_memory(NUMBERS, Y, {**table, "x0": np.zeros_like(table["x0"]), fold: table["x0"]})
    found = everything(step_of("smote").balance(rows, np.random.default_rng(0)))
    expected = everything(balanced("smote"))
    assert np.array_equal(found[fold], expected["x0"])
    assert np.array_equal(found["x1"], expected["x1"])
    assert not found["x0"].any()


def test_borderline_smote_starts_at_the_border_only() -> None:
    rows = balanced("borderline_smote", ratio=1.0)
    starts = np.unique(rows.anchors[rows.members[len(Y) :]])
    distances = np.linalg.norm(X[starts][:, None] - X, axis=2)
    others = (Y[np.argsort(distances, axis=1)[:, 1:11]] == 0).sum(axis=1)
    assert ((others >= 5) & (others < 10)).all()
    assert 0 < len(starts) < (Y == 1).sum() / 2


def test_smote_nc_makes_only_categories_that_neighbours_have() -> None:
    new = {name: values[len(Y) :] for name, values in everything(balanced("smote_nc", MIXED, ratio=1.0)).items()}
    table = table_of(inputs=MIXED)
    assert set(np.unique(new["id"])) <= set(np.unique(table["id"][Y == 1]))
    assert new["id"].dtype == np.int64
    assert np.array_equal(np.unique(new["hot"]), [0, 1])
    assert (new["hot"].sum(axis=1) == 1).all()
    assert len(np.unique(new["x0"])) > 250


@pytest.mark.parametrize("name", ["smote", "borderline_smote"])
def test_smote_refuses_ids_and_zeros_and_ones_and_names_smote_nc(name: str) -> None:
    received, expected, remedy = step_of(name).refuses(MIXED)
    assert (received, expected) == (f"{name} on the ids 'id'", "numbers: there is no id between two ids")
    assert remedy.startswith("Use smote_nc")
    without_ids = [each for each in MIXED if not each.is_ids]
    assert step_of(name).refuses(without_ids) is None
    rows = Rows.in_memory(without_ids, Y, table_of(inputs=MIXED))
    with pytest.raises(ComponentError, match=f"{name} was given 'hot', of zeros and ones only") as error:
        step_of(name).balance(rows, np.random.default_rng(0))
    assert error.value.remedy.startswith("Use smote_nc")


@pytest.mark.parametrize("name", SMOTES)
def test_images_and_sequences_are_refused(name: str) -> None:
    image, text = ModelInput("picture", "float32", (28, 28, 1)), ModelInput("words", "int64", (50,), 1000)
    received, expected, remedy = step_of(name).refuses([*NUMBERS, image, text])
    assert received == f"{name} on 'picture', 'words', which are no single values"
    assert expected.startswith("a table")
    assert remedy.startswith("Use random_oversample")
    assert step_of("random_oversample").refuses([image]) is None


@pytest.mark.parametrize("name", SMOTES)
def test_fewer_rows_than_neighbours_are_refused(name: str) -> None:
    rows = Rows.in_memory(NUMBERS, Y, table_of())
    few = rows.take(np.concatenate([rows.positions(0), rows.positions(1)[:5]]))
    with pytest.raises(ComponentError, match=r"k: 5 needs at least 6 rows of each class .* class 1 has 5") as error:
        step_of(name).balance(few, np.random.default_rng(0))
    assert "Lower k" in error.value.remedy


@pytest.mark.parametrize("name", SMOTES)
def test_missing_values_are_refused_with_the_chain(name: str) -> None:
    x = X.copy()
    x[Y == 1, 2] = np.nan
    rows = Rows.in_memory(NUMBERS, Y, table_of(x))
    with pytest.raises(ComponentError, match="rows have a missing or infinite value of 'x2'") as error:
        step_of(name).balance(rows, np.random.default_rng(0))
    assert error.value.remedy == "Put fill_missing first in transform.x2."


def test_smote_nc_without_numbers_is_refused() -> None:
    inputs = [ModelInput("id", "int64", (1,), 4)]
    rows = Rows.in_memory(inputs, Y, {"id": table_of(inputs=MIXED)["id"]})
    with pytest.raises(ComponentError, match="smote_nc needs at least one column of numbers") as error:
        step_of("smote_nc").balance(rows, np.random.default_rng(0))
    assert error.value.remedy == "Use random_oversample."


def test_borderline_smote_without_a_border_says_so() -> None:
    x = X + 100 * Y[:, None].astype(np.float32)
    with pytest.raises(ComponentError, match="finds no row of class 1 near a border") as error:
        step_of("borderline_smote").balance(Rows.in_memory(NUMBERS, Y, table_of(x)), np.random.default_rng(0))
    assert error.value.remedy == "Use smote, or another m."
