"""What the steps compute of the taxi data that TFX ships, against numpy, pandas and scikit-learn."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from tests.factories import examples_artifacts, transforms

# Chain to its raw column, what that means, and the steps; a raw column is copied under the name of its chain.
CHAINS: dict[str, tuple[str, str, list[Any]]] = {
    "row": ("row", "numeric", []),
    "z": ("trip_miles", "numeric", ["z_score"]),
    "mean": ("dropoff_latitude", "numeric", [{"fill_missing": "mean"}]),
    "median": ("dropoff_latitude", "numeric", [{"fill_missing": "median"}]),
    "mode": ("dropoff_latitude", "numeric", [{"fill_missing": "mode"}]),
    "left": ("dropoff_latitude", "numeric", ["z_score"]),
    "late": ("dropoff_latitude", "numeric", [{"fill_missing": "median"}, "z_score"]),
    "clipped": ("fare", "numeric", [{"clip_outliers": {"method": "iqr", "fences": 1.0}}]),
    "scaled": ("trip_seconds", "numeric", [{"min_max": {"min": -1, "max": 1}}]),
    "log": ("fare", "numeric", ["log1p"]),
    "tenths": ("row", "numeric", [{"bucketize": 10}]),
    "edges": ("trip_start_hour", "numeric", [{"bucketize": {"edges": [6, 12, 18]}}]),
    "ranges": ("dropoff_latitude", "numeric", [{"bucketize": {"edges": [41.9]}}]),
    "company": ("company", "categorical", [{"vocabulary": {"top_k": 5, "oov_buckets": 2}}]),
    "frequent": ("company", "categorical", [{"fill_missing": "mode"}, {"vocabulary": {"min_frequency": 200}}]),
    "area": ("pickup_community_area", "categorical", [{"fill_missing": {"constant": -1}}, {"vocabulary": 1000}]),
    "payment": ("payment_type", "categorical", [{"one_hot": 2}]),
    "hashed": ("company", "categorical", [{"hash": 50}]),
}
TRAIN = examples_artifacts.TRAIN_ROWS


@pytest.fixture(scope="module")
def rows() -> pa.RecordBatch:
    taxi = examples_artifacts.taxi_rows()
    columns = {name: taxi.column(name) for name in taxi.schema.names}
    columns["row"] = pa.array(np.random.default_rng(0).permutation(taxi.num_rows), pa.int64())
    copied = {chain: columns[source] for chain, (source, _, _) in CHAINS.items()}
    copied["hour"], copied["day"] = columns["trip_start_hour"], columns["trip_start_day"]
    return pa.record_batch({**copied, "tips": columns["tips"], "price": columns["fare"]})


@pytest.fixture(scope="module")
def made(rows: pa.RecordBatch, tmp_path_factory: pytest.TempPathFactory) -> transforms.Made:
    features = {chain: kind for chain, (_, kind, _) in CHAINS.items()} | {"hour": "categorical", "day": "categorical"}
    steps = {chain: steps for chain, (_, _, steps) in CHAINS.items()}
    crossed = {"crossed": [{"cross": ["hour", "day"]}, {"hash": 100}]}
    config = transforms.config_of(
        features, {**steps, **crossed}, "binary_classification", expression="tips > 0.2 * price"
    )
    return transforms.run_in_process(tmp_path_factory.mktemp("taxi"), config, examples_artifacts.split_taxi(rows))


@pytest.fixture(scope="module")
def values(made: transforms.Made) -> dict[str, np.ndarray]:
    """Transformed train and eval rows, in the order of the data."""
    train, evaluation = made.values("train"), made.values("eval")
    return {name: np.concatenate([train[name], evaluation[name]]) for name in train}


@pytest.fixture(scope="module")
def raw(rows: pa.RecordBatch) -> pd.DataFrame:
    return rows.to_pandas()


def learned(made: transforms.Made, chain: str) -> dict[str, Any]:
    return dict(made.summary["chains"][chain]["learned"])


def as_ids(texts: pd.Series) -> collections.Counter[bytes]:
    return collections.Counter(texts.iloc[:TRAIN].dropna())


def test_a_z_score_is_scikit_learns(made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame) -> None:
    scaler = StandardScaler().fit(raw[["z"]].iloc[:TRAIN].to_numpy())
    np.testing.assert_allclose(values["z"], scaler.transform(raw[["z"]].to_numpy()), atol=1e-4)
    assert values["z"][:TRAIN].mean() == pytest.approx(0, abs=1e-4)
    assert values["z"][:TRAIN].std() == pytest.approx(1, abs=1e-4)
    assert learned(made, "z")["mean"] == pytest.approx(scaler.mean_[0], rel=1e-5)
    assert learned(made, "z")["standard_deviation"] == pytest.approx(scaler.scale_[0], rel=1e-5)


@pytest.mark.parametrize("strategy", ["mean", "median", "mode"])
def test_missing_numbers_are_filled_with_what_pandas_computes(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame, strategy: str
) -> None:
    column, missing = raw[strategy], raw[strategy].isna().to_numpy()
    assert 0 < missing[:TRAIN].sum() < TRAIN
    train = column.iloc[:TRAIN]
    expected = {"mean": train.mean(), "median": train.median(), "mode": train.mode().max()}[strategy]
    filled = np.unique(values[strategy][missing])
    assert len(filled) == 1
    assert filled[0] == pytest.approx(expected, abs=2e-4 if strategy == "median" else 1e-5)
    np.testing.assert_array_equal(values[strategy][~missing, 0], column[~missing].to_numpy(np.float32))
    assert learned(made, strategy)["fill_value"] == pytest.approx(filled[0])


def test_missing_numbers_that_nothing_fills_end_as_zero_the_mean_of_a_z_score(
    values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    missing = raw["left"].isna().to_numpy()
    assert (values["left"][missing] == 0).all()
    assert values["left"][:TRAIN][~missing[:TRAIN]].std() == pytest.approx(1, abs=1e-3)


def test_a_z_score_behind_a_fill_counts_the_filled_values(values: dict[str, np.ndarray], raw: pd.DataFrame) -> None:
    assert values["late"][:TRAIN].std() == pytest.approx(1, abs=1e-3)
    missing = raw["late"].isna().to_numpy()[:TRAIN]
    assert values["late"][:TRAIN][~missing].std() > 1.001


def test_outliers_are_clipped_at_tukeys_fences(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    low, high = np.percentile(raw["clipped"].iloc[:TRAIN], [25, 75])
    fences = low - (high - low), high + (high - low)
    found = learned(made, "clipped")["low_fence"], learned(made, "clipped")["high_fence"]
    assert found == pytest.approx(fences, abs=0.2)
    expected = np.clip(raw["clipped"].to_numpy(np.float32), *np.float32(found))
    np.testing.assert_array_equal(values["clipped"][:, 0], expected)
    assert (raw["clipped"] > found[1]).sum() > 100


def test_min_max_is_scikit_learns(values: dict[str, np.ndarray], raw: pd.DataFrame) -> None:
    seconds = raw[["scaled"]].fillna(0).to_numpy(np.float64)
    present = raw["scaled"].notna().to_numpy()
    scaler = MinMaxScaler((-1, 1)).fit(seconds[:TRAIN][present[:TRAIN]])
    np.testing.assert_allclose(values["scaled"][present], scaler.transform(seconds)[present], atol=1e-5)


def test_a_logarithm_is_numpys(values: dict[str, np.ndarray], raw: pd.DataFrame) -> None:
    np.testing.assert_allclose(values["log"][:, 0], np.log1p(raw["log"]), rtol=1e-5, atol=1e-6)


def test_quantile_buckets_hold_equally_many_training_rows(values: dict[str, np.ndarray], raw: pd.DataFrame) -> None:
    counts = np.bincount(values["tenths"][:TRAIN, 0], minlength=10)
    assert len(counts) == 10
    assert abs(counts - TRAIN / 10).max() <= 0.003 * TRAIN
    order = np.argsort(raw["tenths"].to_numpy())
    assert (np.diff(values["tenths"][order, 0]) >= 0).all()


def test_edges_are_numpys_and_a_missing_number_has_an_id_of_its_own(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    np.testing.assert_array_equal(values["edges"][:, 0], np.digitize(raw["edges"], [6, 12, 18]))
    latitude = raw["ranges"].to_numpy()
    expected = np.where(np.isnan(latitude), 2, np.digitize(latitude, [np.float32(41.9)]))
    np.testing.assert_array_equal(values["ranges"][:, 0], expected)
    assert made.summary["chains"]["ranges"]["output"]["cardinality"] == 3


def test_a_vocabulary_goes_by_falling_frequency(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    counts = as_ids(raw["company"])
    terms = sorted(counts, key=lambda term: (counts[term], term), reverse=True)[:5]
    assert learned(made, "company")["most_frequent"] == [term.decode() for term in terms]
    ids = values["company"][:, 0]
    for position, term in enumerate(terms):
        assert set(ids[raw["company"] == term]) == {position}
    rare = raw["company"].notna() & ~raw["company"].isin(terms)
    assert set(ids[rare]) == {5, 6}
    assert set(ids[raw["company"].isna()]) == {7}
    assert made.summary["chains"]["company"]["output"]["cardinality"] == 8


def test_rare_categories_share_one_id_and_the_mode_fills_in(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    counts = as_ids(raw["frequent"])
    mode = max(counts, key=lambda term: counts[term])
    counts[mode] += int(raw["frequent"].iloc[:TRAIN].isna().sum())
    kept = [term for term, count in counts.most_common() if count >= 200]
    assert 0 < len(kept) < len(counts)
    assert learned(made, "frequent")["fill_value"] == mode.decode()
    assert learned(made, "frequent")["vocabulary_size"] == len(kept)
    assert set(values["frequent"][raw["frequent"].isna(), 0]) == {0}
    assert set(values["frequent"][~raw["frequent"].isin(kept) & raw["frequent"].notna(), 0]) == {len(kept)}


def test_whole_numbers_are_categories_by_their_text(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    areas = raw["area"].iloc[:TRAIN].fillna(-1).astype(int)
    counts = areas.value_counts()
    assert learned(made, "area")["most_frequent"][:3] == [str(area) for area in counts.index[:3]]
    assert set(values["area"][raw["area"] == counts.index[0], 0]) == {0}
    assert len(np.unique(values["area"][:TRAIN])) == areas.nunique()


def test_one_hot_has_a_place_for_the_most_frequent_and_zeros_for_others(
    values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    terms = [term for term, _ in as_ids(raw["payment"]).most_common(2)]
    expected = np.stack([raw["payment"] == term for term in terms], axis=1).astype(np.float32)
    np.testing.assert_array_equal(values["payment"], expected)
    assert (expected.sum(1) == 0).any()


def test_a_hash_is_farm_hash_in_every_run_and_version(values: dict[str, np.ndarray], raw: pd.DataFrame) -> None:
    import tensorflow as tf

    # numbers written down: a model in service outlives the TensorFlow that trained it
    assert tf.strings.to_hash_bucket_fast(["Flash Cab", "żółty"], 50).numpy().tolist() == [18, 34]
    present = raw["hashed"].notna()
    expected = tf.strings.to_hash_bucket_fast(raw["hashed"][present].to_list(), 50).numpy()
    np.testing.assert_array_equal(values["hashed"][present, 0], expected)
    assert set(values["hashed"][~present, 0]) == {50}


def test_a_cross_has_one_id_per_combination(values: dict[str, np.ndarray], raw: pd.DataFrame) -> None:
    import tensorflow as tf

    joined = (raw["hour"].astype(str) + "\x1f" + raw["day"].astype(str)).to_list()
    np.testing.assert_array_equal(values["crossed"][:, 0], tf.strings.to_hash_bucket_fast(joined, 100).numpy())


def test_the_label_is_what_the_expression_says(values: dict[str, np.ndarray], raw: pd.DataFrame) -> None:
    expected = raw["tips"].to_numpy(np.float32) > np.float32(0.2) * raw["price"].to_numpy(np.float32)
    np.testing.assert_array_equal(values["label"][:, 0], expected.astype(np.int64))
    assert 0.1 < values["label"].mean() < 0.5


def test_rows_served_one_by_one_get_the_values_that_training_read(
    made: transforms.Made, rows: pa.RecordBatch, values: dict[str, np.ndarray]
) -> None:
    sample = range(TRAIN, rows.num_rows, 250)
    requests = [rows.slice(index, 1).to_pylist()[0] for index in sample]
    answers = made.served([{k: v for k, v in row.items() if k not in {"tips", "price"}} for row in requests])
    for index, answer in zip(sample, answers, strict=True):
        assert "label" not in answer
        for chain, value in answer.items():
            np.testing.assert_allclose(value[0], values[chain][index], rtol=3e-7, err_msg=chain)


def test_the_model_is_told_what_it_gets_in_the_order_of_the_spec(made: transforms.Made) -> None:
    from components.transform.outputs import label_vocabulary, model_inputs, num_classes

    inputs = model_inputs(made.graph)
    assert [each.name for each in inputs] == [*CHAINS, "crossed"]
    found = {each.name: (each.dtype, each.width, each.cardinality) for each in inputs}
    assert found["payment"] == ("float32", 2, None)
    assert found["company"] == ("int64", 1, 8)
    assert found["crossed"] == ("int64", 1, 101)
    assert label_vocabulary(made.graph) is None
    assert num_classes(made.graph, "binary_classification") == 2
