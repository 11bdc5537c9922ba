"""Statistics read from TFDV's files agree with the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.report import statistics
from tests.factories.report_runs import RunFactory


@pytest.fixture(scope="module")
def read(runs: RunFactory) -> dict[str, dict[str, Any]]:
    found = statistics.read(runs.artifact("StatisticsGen", "statistics"))
    return {feature["name"]: feature for feature in found["features"]}


@pytest.mark.parametrize("column", ["fare", "trip_seconds", "dropoff_latitude"])
@pytest.mark.parametrize("split", ["train", "eval"])
def test_numbers_are_those_of_the_data(read: dict[str, Any], runs: RunFactory, column: str, split: str):
    values = runs.kept.loc[runs.kept["split"] == split, column]
    shown = read[column][split]
    assert shown["missing"] == values.isna().sum()
    assert shown["missing_share"] == pytest.approx(values.isna().mean())
    assert shown["mean"] == pytest.approx(values.mean())
    assert shown["sd"] == pytest.approx(values.std(ddof=0))
    assert (shown["min"], shown["max"]) == (values.min(), values.max())


@pytest.mark.parametrize("split", ["train", "eval"])
def test_the_most_frequent_texts_are_those_of_the_data(read: dict[str, Any], runs: RunFactory, split: str):
    counts = runs.kept.loc[runs.kept["split"] == split, "company"].value_counts()
    shown = read["company"][split]
    assert shown["distinct"] == len(counts)
    assert [entry["value"] for entry in shown["top"][:5]] == list(counts.index[:5])
    assert [entry["count"] for entry in shown["top"][:5]] == list(counts[:5])
    assert shown["top"][0]["share"] == pytest.approx(counts.iloc[0] / counts.sum())


@pytest.mark.parametrize("column", ["fare", "trip_start_timestamp", "pickup_longitude"])
def test_bars_follow_the_distribution(read: dict[str, Any], runs: RunFactory, column: str):
    """They come from TFDV's two coarse histograms, so a bar may be off, though never by much."""
    bars = read[column]["bars"]
    values = runs.kept.loc[runs.kept["split"] == "train", column].dropna()
    shares = np.histogram(values, np.linspace(bars["low"], bars["high"], statistics.BARS + 1))[0] / len(values)
    assert np.abs(np.cumsum(bars["train"]) - np.cumsum(shares)).max() < 0.1


def test_far_outliers_do_not_hide_the_rest(read: dict[str, Any], runs: RunFactory):
    bars = read["trip_miles"]["bars"]
    assert runs.kept["trip_miles"].max() > 1000
    assert bars["high"] < 50
    assert sum(share > 0.005 for share in bars["train"]) >= 4


def test_a_folder_without_splits_is_named(tmp_path: Any):
    with pytest.raises(FileNotFoundError, match=r"Split-train/FeatureStats\.pb"):
        statistics.read(tmp_path)


def test_a_column_of_one_value_has_no_bars(read: dict[str, Any], runs: RunFactory):
    only = runs.kept.loc[runs.kept["split"] == "train", "pickup_census_tract"]
    assert only.nunique() <= 1
    assert read["pickup_census_tract"]["bars"] is None
    assert pd.isna(only).mean() == pytest.approx(read["pickup_census_tract"]["train"]["missing_share"])
