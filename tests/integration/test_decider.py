"""Decider on TFDV's own statistics: what counts as drift, and what it leaves behind."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from tfx.types import artifact_utils, channel_utils, standard_artifacts

from components.data.statistics_gen import split_statistics
from components.retraining.component import Decider, Executor
from components.retraining.drift import Drift, drift_of, read_statistics
from tests.bench.data import taxi_file

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
NUMBERS = ("trip_miles", "fare", "trip_seconds", "tips", "pickup_latitude", "trip_start_hour")
TEXTS = ("payment_type", "company")


@pytest.fixture(scope="module")
def taxi() -> pa.Table:
    """The taxi trips in random order, each column as ExampleGen would have it."""
    table = pa.csv.read_csv(taxi_file(), convert_options=pa.csv.ConvertOptions(strings_can_be_null=True))
    columns = {name: table[name].cast(pa.float32()) for name in NUMBERS}
    columns |= {name: table[name].cast(pa.binary()) for name in TEXTS}
    order = np.random.default_rng(0).permutation(table.num_rows)
    return pa.table(columns).take(pa.array(order))


def write(table: pa.Table, folder: Path) -> standard_artifacts.ExampleStatistics:
    """Write statistics of the train split as StatisticsGen does."""
    artifact = standard_artifacts.ExampleStatistics()
    artifact.uri, artifact.split_names = str(folder), artifact_utils.encode_split_names(["train", "eval"])
    (folder / "Split-train").mkdir(parents=True)
    statistics = split_statistics(table.combine_chunks().to_batches())
    (folder / "Split-train" / "FeatureStats.pb").write_bytes(statistics.SerializeToString())
    return artifact


def drift(folder: Path, now: pa.Table, before: pa.Table) -> dict[str, Drift]:
    write(now, folder / "now")
    write(before, folder / "before")
    return drift_of(read_statistics(folder / "now"), read_statistics(folder / "before"), (*NUMBERS, *TEXTS))


def scaled(table: pa.Table, column: str, factor: float = 1.0, offset: float = 0.0) -> pa.Table:
    values = table[column].to_numpy() * factor + offset
    return table.set_column(
        table.schema.get_field_index(column), column, pa.array(values, pa.float32(), from_pandas=True)
    )


def test_two_random_halves_have_not_drifted(taxi, tmp_path):
    found = drift(tmp_path, taxi.slice(0, 7500), taxi.slice(7500))
    assert set(found) == {*NUMBERS, *TEXTS}
    assert max(one.beyond_chance for one in found.values()) < 0.02
    assert max(one.distance for one in found.values()) < 0.05


def test_two_small_samples_have_not_drifted_either(taxi, tmp_path):
    """Without what chance takes off, any threshold below 0.1 would retrain every night on few rows."""
    found = drift(tmp_path, taxi.slice(0, 1000), taxi.slice(1000, 1000))
    assert max(one.beyond_chance for one in found.values()) < 0.03
    assert max(one.distance for one in found.values()) > 0.03


def test_the_same_statistics_have_no_distance(taxi, tmp_path):
    assert {one.distance for one in drift(tmp_path, taxi, taxi).values()} == {0.0}


@pytest.mark.parametrize(
    ("column", "factor", "offset", "low", "high"),
    [("fare", 1.3, 0, 0.15, 0.35), ("trip_seconds", 2, 0, 0.3, 0.5), ("pickup_latitude", 1, 0.02, 0.3, 0.7)],
)
def test_a_column_that_moved_is_found_and_no_other(taxi, tmp_path, column, factor, offset, low, high):
    found = drift(tmp_path, scaled(taxi.slice(0, 7500), column, factor, offset), taxi.slice(7500))
    assert next(iter(found)) == column
    assert low < found[column].beyond_chance < high
    assert max(one.beyond_chance for name, one in found.items() if name != column) < 0.02


def test_the_distance_of_numbers_is_that_of_kolmogorov_and_smirnov(taxi, tmp_path):
    from scipy import stats

    moved = scaled(taxi.slice(0, 7500), "fare", 1.3)
    exact = stats.ks_2samp(moved["fare"].drop_null().to_numpy(), taxi.slice(7500)["fare"].drop_null().to_numpy())
    found = drift(tmp_path, moved, taxi.slice(7500))["fare"]
    assert found.distance == pytest.approx(exact.statistic, abs=0.03)


def test_a_text_that_moved_is_measured_as_example_validator_does(taxi, tmp_path):
    values = taxi["payment_type"].to_pylist()
    paid = pa.array([b"Credit Card" if value == b"Cash" else value for value in values], pa.binary())
    moved = taxi.set_column(taxi.schema.get_field_index("payment_type"), "payment_type", paid)
    found = drift(tmp_path, moved, taxi)["payment_type"]
    assert found.distance == pytest.approx(values.count(b"Cash") / len(values), abs=1e-3)


def test_values_that_went_missing_are_drift(taxi, tmp_path):
    gone = [None if row % 4 == 0 else value for row, value in enumerate(taxi["fare"].to_pylist())]
    lacking = taxi.set_column(taxi.schema.get_field_index("fare"), "fare", pa.array(gone, pa.float32()))
    assert drift(tmp_path, lacking, taxi)["fare"].distance == pytest.approx(0.25, abs=0.01)


def test_a_column_of_another_type_or_without_any_value_has_moved_all_the_way(taxi, tmp_path):
    as_text = pa.array([str(value).encode() for value in taxi["fare"].to_pylist()], pa.binary())
    other = taxi.set_column(taxi.schema.get_field_index("fare"), "fare", as_text).drop_columns(["tips"])
    found = drift(tmp_path, other, taxi)
    assert (found["fare"].distance, found["tips"].distance) == (1.0, 1.0)


def execute(folder: Path, now: Any, before: Any, retraining: dict[str, Any], **runtime: Any) -> dict[str, Any]:
    """Run the component's executor; return its decision."""
    output = standard_artifacts.Config()
    output.uri = str(folder / "decision")
    config = {"retraining": retraining, "columns": [*NUMBERS, *TEXTS], "settings": {"Trainer": "a"}}
    told = {"root": str(folder), "now": NOW.isoformat(), "fingerprint": "new", **runtime}
    Executor().Do(
        {"statistics": [now], "baseline_statistics": before},
        {"decision": [output]},
        {"config": json.dumps(config), "runtime": json.dumps(told)},
    )
    summary = json.loads((folder / "decision" / "summary.json").read_text())
    whole = json.loads((folder / "decision" / "decision.json").read_text())
    assert whole.items() >= summary.items()
    assert output.get_int_custom_property("go") == int(summary["go"])
    return whole


def ran(root: Path, run_id: str, at: datetime, fingerprint: str) -> None:
    record = {
        "run_id": run_id, "status": "pushed", "started": at.isoformat(), "data": {"fingerprint": fingerprint},
        "decision": {"settings": {"Trainer": "a"}},
    }  # fmt: skip
    (root / "runs" / run_id).mkdir(parents=True)
    (root / "runs" / run_id / "run.json").write_text(json.dumps(record))


def model_of(run_id: str) -> dict[str, Any]:
    return {"version": 3, "run_id": run_id, "at": NOW.isoformat()}


def test_the_first_run_trains_and_says_why(taxi, tmp_path):
    decision = execute(tmp_path, write(taxi, tmp_path / "now"), [], {}, baseline=None)
    assert (decision["go"], decision["reasons"]) == (True, ["no model was trained yet"])
    assert decision["drift"] == []
    assert decision["settings"] == {"Trainer": "a"}


def test_little_drift_does_not_train_and_the_distances_are_kept(taxi, tmp_path):
    ran(tmp_path, "7", NOW - timedelta(days=2), "old")
    statistics = write(taxi.slice(0, 7500), tmp_path / "now"), [write(taxi.slice(7500), tmp_path / "before")]
    decision = execute(tmp_path, *statistics, {"min_drift": 0.05}, baseline=model_of("7"), span="31")
    assert (decision["go"], decision["rule"], decision["span"]) == (False, "little_drift", 31)
    assert decision["text"].startswith("do not train: little drift: ")
    assert {entry["feature"] for entry in decision["drift"]} == {*NUMBERS, *TEXTS}
    assert decision["blessed"] == {"version": 3, "at": (NOW - timedelta(days=2)).isoformat()}


def test_drift_trains(taxi, tmp_path):
    ran(tmp_path, "7", NOW - timedelta(days=2), "old")
    now = write(scaled(taxi.slice(0, 7500), "fare", 2), tmp_path / "now")
    before = [write(taxi.slice(7500), tmp_path / "before")]
    decision = execute(tmp_path, now, before, {"min_drift": 0.05}, baseline=model_of("7"))
    assert decision["go"]
    assert decision["drift"][0]["feature"] == "fare"


def test_the_baseline_is_looked_up_when_the_runner_names_none(taxi, tmp_path):
    from components.registry import BlessedModel, Registry

    ran(tmp_path, "7", NOW - timedelta(days=40), "old")
    Registry(tmp_path / "registry").add(
        BlessedModel(3, "key", "model", "statistics", "evaluation", "7", NOW.isoformat())
    )
    decision = execute(tmp_path, write(taxi, tmp_path / "now"), [], {"max_age_days": 30, "min_drift": 0.05})
    assert decision["reasons"] == ["version 3 is 40.0 days old, and max_age_days is 30"]


def test_a_baseline_without_files_is_none(taxi, tmp_path):
    ran(tmp_path, "7", NOW - timedelta(days=2), "old")
    empty = standard_artifacts.ExampleStatistics()
    empty.uri = str(tmp_path / "nothing")
    decision = execute(tmp_path, write(taxi, tmp_path / "now"), [empty], {"min_drift": 0.05}, baseline=None)
    assert (decision["rule"], decision["drift"]) == ("nothing_blessed", [])


def test_the_component_takes_a_baseline_that_may_not_exist(tmp_path):
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(tmp_path)
    channel = channel_utils.as_channel([statistics])
    component = Decider({}, {}, statistics=channel, baseline_statistics=channel)
    assert component.outputs["decision"].type is standard_artifacts.Config
    assert set(Decider({}, {}, statistics=channel).inputs) == {"statistics"}
