"""Steps on numbers, dates and places, against scikit-learn, pandas and numpy on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.preprocessing import MinMaxScaler, PowerTransformer, QuantileTransformer, RobustScaler, StandardScaler

from tests.factories import examples_artifacts, transforms

COLUMNS = ["mean radius", "mean texture", "mean area", "area error", "worst area", "mean concavity"]
SIZES = ["mean radius", "mean area", "worst area", "mean texture", "mean concavity"]
TRAIN = 400
# Chain to its raw column and steps; a raw column is copied under the name of its chain.
CHAINS: dict[str, tuple[str, list[Any]]] = {
    "robust": ("area error", ["robust_scale"]),
    "wide": ("area error", [{"robust_scale": {"low": 0.1, "high": 0.9}}]),
    "power": ("area error", ["yeo_johnson"]),
    "hollow power": ("worst area", ["z_score", "yeo_johnson"]),
    "small power": ("mean concavity", ["yeo_johnson"]),
    "normal": ("area error", [{"quantile_normal": 300}]),
    "coarse": ("worst area", [{"quantile_normal": 20}]),
    "tied": ("mean concavity", [{"quantile_normal": 100}]),
    "z clip": ("area error", [{"clip_outliers": {"method": "z_score", "deviations": 2}}]),
    "quantile clip": ("area error", [{"clip_outliers": {"method": "quantile", "quantiles": [0.05, 0.9]}}]),
    "iqr median": ("area error", [{"clip_outliers": {"action": "median"}}]),
    "iqr missing": ("area error", [{"clip_outliers": {"action": "missing"}}]),
    "refilled": (
        "area error",
        [
            {"fill_missing": "median"},
            {"clip_outliers": {"action": "missing"}},
            {"fill_missing": {"constant": -1}},
        ],
    ),
    "scaled": ("mean texture", ["min_max"]),
}
SOURCES: dict[str, list[Any]] = {
    "pca": [{"pca": {"columns": SIZES, "components": 3}}],
    "raw pca": [{"pca": {"columns": SIZES, "components": 2, "standardize": False}}],
    "white pca": [{"pca": {"columns": SIZES, "components": 2, "whiten": True}}],
}


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    """Measurements of 569 tumours, of which one column in turn misses every 17th value: NaN or nothing at all."""
    data = load_breast_cancer(as_frame=True).data[COLUMNS].astype(np.float32)
    for position, name in enumerate(COLUMNS):
        data.loc[position::17, name] = np.nan
    return data


def to_arrow(column: pd.Series) -> pa.Array:
    """Every other missing value stays NaN, as a float file has it."""
    missing = column.isna().to_numpy()
    nothing = missing & (np.cumsum(missing) % 2 == 0)
    return pa.array(column.to_numpy(np.float32), pa.float32(), mask=nothing)


@pytest.fixture(scope="module")
def made(raw: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> transforms.Made:
    copied = {chain: to_arrow(raw[source]) for chain, (source, _) in CHAINS.items()}
    columns = copied | {name: to_arrow(raw[name]) for name in SIZES}
    rows = pa.record_batch({**columns, "target": pa.array(np.zeros(len(raw), np.float32))})
    features = dict.fromkeys(columns, "numeric")
    chains = {chain: steps for chain, (_, steps) in CHAINS.items()} | SOURCES
    splits = {"train": rows.slice(0, TRAIN), "eval": rows.slice(TRAIN)}
    return transforms.run_in_process(tmp_path_factory.mktemp("tumours"), transforms.config_of(features, chains), splits)


@pytest.fixture(scope="module")
def values(made: transforms.Made) -> dict[str, np.ndarray]:
    train, evaluation = made.values("train"), made.values("eval")
    return {name: np.concatenate([train[name], evaluation[name]]) for name in train}


def learned(made: transforms.Made, chain: str) -> dict[str, Any]:
    return dict(made.summary["chains"][chain]["learned"])


def column_of(raw: pd.DataFrame, chain: str) -> np.ndarray:
    return raw[[CHAINS[chain][0]]].to_numpy(np.float64)


def assert_is(values: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """Where the raw value is missing, the chain ends with 0."""
    np.testing.assert_allclose(values, np.nan_to_num(expected), rtol=tolerance, atol=tolerance)


def skewness(values: np.ndarray) -> float:
    return float(pd.Series(values[:TRAIN, 0]).skew())


def test_a_robust_scale_is_scikit_learns(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    for chain, spread in (("robust", (25, 75)), ("wide", (10, 90))):
        column = column_of(raw, chain)
        scaler = RobustScaler(quantile_range=spread).fit(column[:TRAIN])
        assert_is(values[chain], scaler.transform(column), 1e-5)
        assert learned(made, chain)["median"] == pytest.approx(scaler.center_[0])
        assert learned(made, chain)["spread"] == pytest.approx(scaler.scale_[0])


@pytest.mark.parametrize("chain", ["power", "hollow power", "small power"])
def test_a_yeo_johnson_transform_is_scikit_learns_and_straightens(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame, chain: str
) -> None:
    column = column_of(raw, chain)
    if chain == "hollow power":
        column = StandardScaler().fit(column[:TRAIN]).transform(column)
    power = PowerTransformer(standardize=False).fit(column[:TRAIN])
    assert learned(made, chain)["power"] == pytest.approx(power.lambdas_[0], abs=1e-4)
    assert_is(values[chain], power.transform(column), 2e-5)
    present = ~np.isnan(column[:TRAIN, 0])
    before, after = skewness(column[:TRAIN][present]), skewness(values[chain][:TRAIN][present])
    assert before > 1
    assert abs(after) < 0.35 * before


@pytest.mark.parametrize(("chain", "quantiles"), [("normal", 300), ("coarse", 20), ("tied", 100)])
def test_normal_scores_are_scikit_learns(
    values: dict[str, np.ndarray], raw: pd.DataFrame, chain: str, quantiles: int
) -> None:
    column = column_of(raw, chain)
    transformer = QuantileTransformer(n_quantiles=quantiles, output_distribution="normal").fit(column[:TRAIN])
    expected = np.nan_to_num(transformer.transform(column))
    compared = column[:, 0] != 0  # zeros are the tied smallest values, a test of their own
    np.testing.assert_allclose(values[chain][compared], expected[compared], atol=2e-4)
    present = ~np.isnan(column[:TRAIN, 0])
    assert abs(values[chain][:TRAIN][present].mean()) < 0.1
    assert values[chain][:TRAIN][present].std() == pytest.approx(1, abs=0.1)
    assert np.abs(values[chain]).max() <= 5.2


def test_rows_that_share_the_smallest_number_share_the_middle_of_their_ranks(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    from scipy import stats

    column = column_of(raw, "tied")[:TRAIN, 0]
    tied = column == 0
    assert tied.sum() == 5
    expected = stats.norm.ppf(tied.sum() / (~np.isnan(column)).sum() / 2)
    np.testing.assert_allclose(values["tied"][:TRAIN][tied, 0], expected, atol=0.1)
    assert learned(made, "tied")["smallest"] == 0
    assert learned(made, "tied")["largest"] == pytest.approx(np.nanmax(column))


def test_outliers_are_clipped_by_the_methods_own_fences(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    column = column_of(raw, "z clip")
    train = column[:TRAIN]
    mean, deviation = np.nanmean(train), np.nanstd(train)
    fences = {
        "z clip": (mean - 2 * deviation, mean + 2 * deviation),
        "quantile clip": tuple(np.nanquantile(train, [0.05, 0.9])),
    }
    for chain, (low, high) in fences.items():
        assert_is(values[chain], np.clip(column, low, high), 1e-5)
        assert learned(made, chain) == pytest.approx({"low_fence": low, "high_fence": high}, rel=1e-5)
        assert (column > high).sum() > 10


def test_outliers_are_replaced_by_the_median_or_taken_away(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    column = column_of(raw, "iqr median")
    high = learned(made, "iqr median")["high_fence"]
    outlier = column[:, 0] > high
    kept = ~outlier & ~np.isnan(column[:, 0])
    assert outlier.sum() > 20
    for chain in ("iqr median", "iqr missing"):
        np.testing.assert_allclose(values[chain][kept], column[kept], rtol=1e-6)
    np.testing.assert_allclose(values["iqr median"][outlier], np.nanmedian(column[:TRAIN]), rtol=1e-6)
    assert (values["iqr missing"][outlier] == 0).all()
    missing = np.isnan(column[:, 0])
    # filled values move the quartiles together
    refilled = column[:, 0] > learned(made, "refilled")["high_fence"]
    assert refilled.sum() >= outlier.sum()
    assert (values["refilled"][refilled] == -1).all()
    np.testing.assert_allclose(values["refilled"][~refilled & ~missing], column[~refilled & ~missing], rtol=1e-6)
    np.testing.assert_allclose(values["refilled"][missing], np.nanmedian(column[:TRAIN]), rtol=5e-3)


def test_min_max_learns_from_values_alone_where_some_are_nan(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame
) -> None:
    column = column_of(raw, "scaled")
    assert np.isnan(column).any()
    scaler = MinMaxScaler().fit(column[:TRAIN])
    assert_is(values["scaled"], scaler.transform(column), 1e-5)
    assert learned(made, "scaled")["largest"] == pytest.approx(scaler.data_max_[0])


@pytest.mark.parametrize("chain", list(SOURCES))
def test_principal_components_are_scikit_learns_up_to_sign(
    made: transforms.Made, values: dict[str, np.ndarray], raw: pd.DataFrame, chain: str
) -> None:
    parameters = SOURCES[chain][0]["pca"]
    rows = raw[SIZES].to_numpy(np.float64)
    whole = ~np.isnan(rows).any(1)
    train = whole & (np.arange(len(rows)) < TRAIN)
    if parameters.get("standardize", True):
        rows = StandardScaler().fit(rows[train]).transform(rows)
    pca = PCA(parameters["components"], whiten=parameters.get("whiten", False)).fit(rows[train])
    expected = pca.transform(rows[whole])
    signs = np.sign((values[chain][whole] * expected).sum(0))
    np.testing.assert_allclose(values[chain][whole], expected * signs, rtol=1e-4, atol=1e-4)
    shares = learned(made, chain)["explained_variance"]
    assert shares == pytest.approx(pca.explained_variance_ratio_, abs=1e-5)
    assert shares[0] > 0.6

    holed = ~whole
    filled = np.where(np.isnan(rows), np.nanmean(rows[train], 0), rows)
    np.testing.assert_allclose(values[chain][holed], pca.transform(filled[holed]) * signs, rtol=1e-4, atol=1e-4)


TRIPS: dict[str, list[Any]] = {
    "speed": [{"compute": "trip_miles / (trip_seconds / 3600)"}],
    "priced": [{"compute": "log(fare) * (payment_type == 'Cash') + max(trip_miles, 1, fare / 10)"}, "robust_scale"],
    "no tract": [{"missing_indicator": "dropoff_census_tract"}],
    "no company": [{"missing_indicator": "company"}],
    "distance": [
        {
            "geo_distance": {
                "origin": ["pickup_latitude", "pickup_longitude"],
                "destination": ["dropoff_latitude", "dropoff_longitude"],
            }
        }
    ],
    "from centre": [
        {"geo_distance": {"origin": [41.8781, -87.6298], "destination": ["pickup_latitude", "pickup_longitude"]}}
    ],
    "thirds": [{"cross": {"columns": ["fare", "company"], "numeric_buckets": 3}}, {"vocabulary": 10_000}],
    "tenths": [{"cross": ["fare", "company"]}, {"vocabulary": 10_000}],
    "hour": [{"date_parts": {"column": "trip_start_timestamp", "parts": ["hour"]}}],
    "calendar": [
        {
            "date_parts": {
                "column": "trip_start_timestamp",
                "parts": ["year", "month", "day", "weekday", "hour", "day_of_year"],
                "cyclic": ["month", "day", "weekday", "hour", "day_of_year"],
                "since": "2013-01-01",
            }
        }
    ],
    "written": [{"date_parts": {"column": "started", "parts": ["weekday", "hour"], "since": "2013-01-01"}}],
    "default": [{"date_parts": "started"}],
    "exact": [{"date_parts": {"column": "milliseconds", "parts": ["hour"], "epoch_unit": "milliseconds"}}],
    "chicago": [{"date_parts": {"column": "zoned", "parts": ["hour"], "utc_offset_hours": -6}}, {"bucketize": 4}],
}
FEATURES = {
    "trip_miles": "numeric",
    "trip_seconds": "numeric",
    "fare": "numeric",
    "pickup_latitude": "numeric",
    "pickup_longitude": "numeric",
    "dropoff_latitude": "numeric",
    "dropoff_longitude": "numeric",
    "payment_type": "categorical",
    "dropoff_census_tract": "categorical",
    "company": "categorical",
    "trip_start_timestamp": "categorical",
    "started": "categorical",
    "zoned": "categorical",
    "milliseconds": "categorical",
}


def taxi_with_texts() -> pa.RecordBatch:
    rows = examples_artifacts.taxi_rows()
    times = pd.to_datetime(rows.column("trip_start_timestamp").to_numpy(), unit="s")
    started = pd.Series(times.strftime("%Y-%m-%dT%H:%M:%S"))
    started[::100] = "some day"
    zoned = pd.Series(times + pd.Timedelta(hours=2)).dt.strftime("%Y-%m-%d %H:%M:%S+02:00")
    rows = rows.append_column("started", pa.array(started.to_list(), pa.string()))
    counts = pc.multiply(rows.column("trip_start_timestamp"), 1000)
    rows = rows.append_column("milliseconds", pc.cast(counts, pa.int64()))
    return rows.append_column("zoned", pa.array(zoned.to_list(), pa.string()))


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    rows = taxi_with_texts()
    config = transforms.config_of(FEATURES, TRIPS, expression="tips")
    splits = examples_artifacts.split_taxi(rows)
    made = transforms.run_in_process(tmp_path_factory.mktemp("trips"), config, splits)
    train, evaluation = made.values("train"), made.values("eval")
    return rows.to_pandas(), {name: np.concatenate([train[name], evaluation[name]]) for name in train}


Trips = tuple[pd.DataFrame, dict[str, np.ndarray]]


def test_a_cross_cuts_numbers_into_as_many_ranges_as_it_is_told(trips: Trips) -> None:
    raw, values = trips
    company = raw["company"].mode()[0]
    chosen = (raw["company"] == company) & raw["fare"].notna()
    assert chosen.sum() > 1000
    assert len(np.unique(values["thirds"][chosen])) == 3
    assert len(np.unique(values["tenths"][chosen])) == 10


def test_an_expression_is_numpys_and_missing_where_it_has_no_finite_value(trips: Trips) -> None:
    raw, values = trips
    with np.errstate(all="ignore"):
        speed = raw["trip_miles"] / (raw["trip_seconds"] / 3600)
        cash = np.log(raw["fare"]) * (raw["payment_type"] == b"Cash")
        priced = cash + np.maximum(np.maximum(raw["trip_miles"], 1), raw["fare"] / 10)
    for result in (speed, priced):
        result[~np.isfinite(result)] = np.nan
    assert speed.isna().sum() > raw["trip_seconds"].isna().sum()
    np.testing.assert_allclose(values["speed"][:, 0], speed.fillna(0), rtol=1e-5)
    scaler = RobustScaler().fit(priced[: examples_artifacts.TRAIN_ROWS].to_numpy(np.float64)[:, None])
    expected = scaler.transform(priced.to_numpy(np.float64)[:, None])
    assert 0 < priced.isna().sum() < 1000
    assert_is(values["priced"], expected, 1e-4)


def test_an_indicator_says_where_values_are_missing(trips: Trips) -> None:
    raw, values = trips
    for chain, column in (("no tract", "dropoff_census_tract"), ("no company", "company")):
        expected = raw[column].isna().to_numpy(np.float32)
        assert 0 < expected.mean() < 1
        np.testing.assert_array_equal(values[chain][:, 0], expected)


def haversine(places: pd.DataFrame) -> np.ndarray:
    latitude, longitude, latitude_2, longitude_2 = np.radians(places.to_numpy(np.float64)).T
    cosine = np.sin(latitude) * np.sin(latitude_2) + np.cos(latitude) * np.cos(latitude_2) * np.cos(
        longitude - longitude_2
    )
    return np.asarray(6371.0088 * np.arccos(np.clip(cosine, -1, 1)))


def test_a_distance_is_the_great_circles(trips: Trips) -> None:
    raw, values = trips
    pickup, dropoff = (
        raw[[f"{end}_latitude", f"{end}_longitude"]].set_axis(["a", "b"], axis=1) for end in ("pickup", "dropoff")
    )
    between = haversine(pd.concat([pickup, dropoff], axis=1))
    assert 0 < np.isnan(between).sum() < 1000
    np.testing.assert_allclose(values["distance"][:, 0], np.nan_to_num(between), atol=1e-3)
    centre = haversine(pickup.assign(c=41.8781, d=-87.6298))
    np.testing.assert_allclose(values["from centre"][:, 0], np.nan_to_num(centre), atol=1e-3)
    # the meter counts the road, and in a few rows nonsense
    rides = pd.DataFrame({"distance": values["distance"][:, 0], "trip_miles": raw["trip_miles"]})
    rides = rides[(rides > 0.5).all(axis=1)]
    assert rides.corr("spearman").iloc[0, 1] > 0.7


def test_the_parts_of_a_time_are_pandas_and_what_the_taxi_data_say(trips: Trips) -> None:
    raw, values = trips
    times = pd.Series(pd.to_datetime(raw["trip_start_timestamp"], unit="s")).dt
    np.testing.assert_array_equal(values["hour"][:, 0], raw["trip_start_hour"])
    np.testing.assert_array_equal(values["exact"][:, 0], raw["trip_start_hour"])
    parts = [times.year, times.month, times.day, times.weekday, times.hour, times.dayofyear]
    np.testing.assert_array_equal(values["calendar"][:, :6], np.stack(parts, axis=1))
    # the data's own days begin with Sunday, as 1
    np.testing.assert_array_equal((values["calendar"][:, 3] + 1) % 7 + 1, raw["trip_start_day"])
    np.testing.assert_array_equal(values["calendar"][:, 1], raw["trip_start_month"])

    seconds = raw["trip_start_timestamp"] % 86_400
    leap = 365 + times.is_leap_year
    phases = [
        (times.month - 1) / 12,
        (times.day - 1) / times.days_in_month,
        times.weekday / 7,
        seconds / 86_400,
        (times.dayofyear - 1) / leap,
    ]
    circles = [function(2 * np.pi * phase) for phase in phases for function in (np.sin, np.cos)]
    np.testing.assert_allclose(values["calendar"][:, 6:16], np.stack(circles, axis=1), atol=1e-6)
    days = (raw["trip_start_timestamp"] - pd.Timestamp("2013-01-01").timestamp()) / 86_400
    np.testing.assert_allclose(values["calendar"][:, 16], days, rtol=1e-6)


def test_a_written_time_is_read_and_what_is_no_time_is_missing(trips: Trips) -> None:
    raw, values = trips
    is_time = (raw["started"] != "some day").to_numpy()
    np.testing.assert_array_equal(values["written"][is_time], values["calendar"][is_time][:, [3, 4, 16]])
    np.testing.assert_array_equal(values["default"][is_time], values["calendar"][is_time][:, [6, 7, 10, 11, 12, 13]])
    assert (~is_time).sum() == 151
    assert not values["written"][~is_time].any()
    assert not values["default"][~is_time].any()


def test_a_time_in_utc_becomes_local_and_goes_on_as_a_number(trips: Trips) -> None:
    raw, values = trips
    local = (raw["trip_start_hour"] - 6) % 24
    low, high = (local[values["chicago"][:, 0] == bucket] for bucket in (0, 3))
    assert low.max() <= np.quantile(local, 0.3)
    assert high.min() >= np.quantile(local, 0.7)


def test_both_engines_learn_the_same(raw: pd.DataFrame, tmp_path: Path) -> None:
    chains: dict[str, Any] = {
        "row": [],
        "mean radius": ["robust_scale"],
        "mean texture": ["yeo_johnson"],
        "mean area": [{"quantile_normal": 50}],
        "worst area": [{"clip_outliers": {"method": "quantile", "action": "median"}}],
        "pca": [{"pca": {"columns": SIZES, "components": 3}}],
    }
    names = [name for name in chains if name in raw] + ["mean concavity"]
    columns = {"row": pa.array(np.arange(len(raw)), pa.int64())} | {name: to_arrow(raw[name]) for name in names}
    rows = pa.record_batch({**columns, "target": pa.array(np.zeros(len(raw), np.float32))})
    config = transforms.config_of(dict.fromkeys(columns, "numeric"), chains | {"mean concavity": ["z_score"]})
    found = {}
    for engine in ("arrow", "beam"):
        (tmp_path / engine).mkdir()
        made = transforms.run_executor(tmp_path / engine, config, {"train": rows}, engine)
        values = made.values()
        found[engine] = {name: column[np.argsort(values["row"][:, 0])] for name, column in values.items()}
    for name in chains:
        np.testing.assert_allclose(found["arrow"][name], found["beam"][name], rtol=1e-5, atol=1e-5, err_msg=name)
