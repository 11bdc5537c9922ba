"""Nearest neighbours fill gaps better than a mean, as scikit-learn's do, the same in both engines and served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_breast_cancer
from sklearn.impute import KNNImputer
from sklearn.metrics.pairwise import manhattan_distances, nan_euclidean_distances
from sklearn.preprocessing import StandardScaler

from components.features import FeatureKind
from components.transform.combiners import RowSample
from components.transform.config import TransformConfig
from tests.factories import transforms

OTHERS = ["perimeter", "area", "smoothness", "points"]
FEATURES = dict.fromkeys(["radius", *OTHERS], "numeric")


def cells() -> tuple[np.ndarray, np.ndarray]:
    """Return breast cancer's radius and four other columns with a fifth of the values gone, and the whole."""
    data = load_breast_cancer()
    whole = data.data[:, [0, 2, 3, 4, 7]].astype(np.float32)
    holes = np.random.default_rng(5).random(whole.shape) < 0.2
    return np.where(holes, np.nan, whole).astype(np.float32), whole


def rows_of(values: np.ndarray) -> pa.RecordBatch:
    columns = {name: pa.array(values[:, place], from_pandas=True) for place, name in enumerate(FEATURES)}
    return pa.record_batch({**columns, "target": pa.array(np.arange(len(values), dtype=np.float32))})


def filled(folder: Path, values: np.ndarray, **parameters: Any) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    step = {"fill_knn": {"columns": OTHERS, **parameters}}
    made = transforms.run_in_process(
        folder, transforms.config_of(FEATURES, {"radius": [step]}), {"train": rows_of(values)}
    )
    return made.values()["radius"][:, 0]


def reference(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what scikit-learn fills in, from the rows that can be neighbours, and where it had no choice to make."""
    has_value = ~np.isnan(values[:, 0]) & ~np.isnan(values[:, 1:]).all(axis=1)
    scaler = StandardScaler().fit(values[has_value, 1:])

    def scaled(rows: np.ndarray) -> np.ndarray:
        return np.column_stack([rows[:, :1], scaler.transform(rows[:, 1:])])

    donors, rows = scaled(values[has_value].astype(float)), scaled(values.astype(float))
    distances = np.sort(nan_euclidean_distances(np.where([True, *[False] * 4], np.nan, rows), donors), axis=1)
    # the k-th and the next neighbour may be equally far
    clear = ~has_value & (distances[:, k] - distances[:, k - 1] > 1e-9)
    return KNNImputer(n_neighbors=k).fit(donors).transform(rows)[:, 0], clear


def test_neighbours_come_much_closer_to_the_truth_than_the_mean(tmp_path: Path) -> None:
    values, whole = cells()
    gone = np.isnan(values[:, 0])
    truth = whole[gone, 0]
    of_mean = np.sqrt(np.mean((np.nanmean(values[:, 0]) - truth) ** 2))
    found = filled(tmp_path, values)
    np.testing.assert_array_equal(found[~gone], whole[~gone, 0])
    error = np.sqrt(np.mean((found[gone] - truth) ** 2))
    assert error < 0.5 * of_mean, (error, of_mean)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_they_are_those_that_scikit_learn_finds(tmp_path: Path, k: int) -> None:
    values, _ = cells()
    expected, clear = reference(values, k)
    assert np.count_nonzero(clear) > 0.95 * np.count_nonzero(np.isnan(values[:, 0]))
    np.testing.assert_allclose(filled(tmp_path, values, k=k)[clear], expected[clear], rtol=1e-4)


def test_manhattan_distances_are_scikit_learns(tmp_path: Path) -> None:
    _, whole = cells()
    values = whole.copy()
    values[::3, 0] = np.nan
    donors = ~np.isnan(values[:, 0])
    scaled = StandardScaler().fit(values[donors, 1:]).transform(values[:, 1:].astype(float))
    nearest = np.argsort(manhattan_distances(scaled[~donors], scaled[donors]), axis=1)[:, :5]
    expected = values[donors, 0][nearest].mean(axis=1)
    found = filled(tmp_path, values, metric="manhattan")
    np.testing.assert_allclose(found[~donors], expected, rtol=1e-4)
    (tmp_path / "other").mkdir()
    assert np.abs(found - filled(tmp_path / "other", values)).max() > 0.01


def test_a_smaller_sample_is_taken_and_still_helps(tmp_path: Path) -> None:
    values, whole = cells()
    gone = np.isnan(values[:, 0])
    made = {size: filled(tmp_path / str(size), values, sample=size) for size in (60, 1000)}
    assert np.abs(made[60] - made[1000])[gone].max() > 0.01
    of_mean = np.sqrt(np.mean((np.nanmean(values[:, 0]) - whole[gone, 0]) ** 2))
    assert np.sqrt(np.mean((made[60][gone] - whole[gone, 0]) ** 2)) < 0.6 * of_mean


def test_both_engines_find_the_same_neighbours_and_a_request_gets_them_too(tmp_path: Path) -> None:
    values, _ = cells()
    config = transforms.config_of(FEATURES, {"radius": [{"fill_knn": {"columns": OTHERS, "sample": 200}}]})
    made = {}
    for engine in ("arrow", "beam"):
        (tmp_path / engine).mkdir()
        made[engine] = transforms.run_executor(tmp_path / engine, config, {"train": rows_of(values)}, engine)
    found = {engine: each.values() for engine, each in made.items()}
    order = np.argsort(found["beam"]["label"][:, 0])
    np.testing.assert_allclose(found["arrow"]["radius"], found["beam"]["radius"][order], rtol=1e-6)
    learned = made["arrow"].summary["chains"]["radius"]["learned"]
    assert learned == {"fallback": pytest.approx(np.nanmean(values[:, 0]), rel=1e-6), "sample_rows": 200}
    asked = np.flatnonzero(np.isnan(values[:, 0]))[:3]
    requests = [
        {name: None if np.isnan(value) else float(value) for name, value in zip(FEATURES, values[row], strict=True)}
        for row in asked
    ]
    for row, served in zip(asked, made["arrow"].served(requests), strict=True):
        assert served["radius"][0, 0] == pytest.approx(found["arrow"]["radius"][row, 0], rel=1e-6)


def test_a_row_without_any_other_value_gets_the_mean(tmp_path: Path) -> None:
    values, _ = cells()
    values[7] = np.nan
    assert filled(tmp_path, values)[7] == pytest.approx(np.nanmean(values[:, 0]), rel=1e-6)


def test_with_fewer_rows_than_k_all_are_averaged(tmp_path: Path) -> None:
    values = np.array([[1, 1, 1, 1, 1], [4, 2, 2, 2, 2], [np.nan, 3, 3, 3, 3]], np.float32)
    assert filled(tmp_path, values, k=10)[2] == pytest.approx(2.5)


def test_rows_that_occur_often_count_as_often(tmp_path: Path) -> None:
    near, far = [[1, 1, 1, 1, 1]] * 4, [[5, 9, 9, 9, 9]] * 2
    values = np.array([*near, *far, [np.nan, 2, 2, 2, 2]], np.float32)
    assert filled(tmp_path / "three", values, k=3)[-1] == pytest.approx(1.0)
    assert filled(tmp_path / "five", values, k=5)[-1] == pytest.approx((4 * 1 + 5) / 5)


def test_the_sample_depends_neither_on_order_nor_on_batches() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2000, 5000)
    # equal rows have equal hashes
    targets, points = (hashes % 7).astype(np.float32), np.stack([hashes % 11, hashes % 13], axis=1).astype(np.float32)
    combiner = RowSample(50, 2)
    whole = combiner.add_input(combiner.create_accumulator(), (hashes, targets, points))
    parts = []
    for rows in np.array_split(random.permutation(5000), 9):
        parts.append(combiner.add_input(combiner.create_accumulator(), (hashes[rows], targets[rows], points[rows])))
    merged = combiner.merge_accumulators(parts)
    for one, other in zip(combiner.extract_output(whole), combiner.extract_output(merged), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    kept = np.sort(np.unique(hashes))[:50]
    np.testing.assert_array_equal(whole[1], [np.count_nonzero(hashes == each) for each in kept])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"columns": ["perimeter"], "k": 20, "sample": 10}, "k up to the size of the sample, 10; got k: 20"),
        ({"columns": ["perimeter", "perimeter"]}, "each column once"),
        ({"columns": []}, "at least 1 item"),
        ({"columns": ["perimeter"], "metric": "cosine"}, "'euclidean' or 'manhattan'"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TransformConfig.model_validate({"radius": [{"fill_knn": parameters}]})


def test_a_categorical_column_has_no_distance() -> None:
    config = TransformConfig.model_validate({"radius": [{"fill_knn": ["kind"]}]})
    (problem,) = config.problems({"radius": FeatureKind.NUMERIC, "kind": FeatureKind.CATEGORICAL})
    assert "fill_knn that reads 'kind', which holds categories" in problem.received
    assert problem.expected == "a column of numbers"
    assert "data.features.kind: numeric" in problem.remedy
