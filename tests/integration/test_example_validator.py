"""ExampleValidator on the taxi data: a curated schema that bites, drift against a baseline, skew between splits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2
from tfx.types import channel_utils, standard_artifacts

from components.data.anomalies import with_comparators
from components.data.example_validator import ExampleValidator, Executor
from components.data.statistics_gen import split_statistics
from components.errors import ComponentError
from tests.factories.examples_artifacts import artifact, replaced, scaled, split_taxi, taxi_rows

CONFIG = {
    "anomalies": "stop",
    "drift": None,
    "skew": None,
    "features": {"trip_miles": "numeric", "company": "categorical", "payment_type": "categorical"},
    "label": {"name": "big_tip", "expression": "tips > 0.2 * fare"},
}


def write_statistics(folder: Path, splits: dict[str, pa.RecordBatch]) -> standard_artifacts.ExampleStatistics:
    for split, rows in splits.items():
        (folder / f"Split-{split}").mkdir(parents=True)
        data = split_statistics([rows]).SerializeToString()
        (folder / f"Split-{split}" / "FeatureStats.pb").write_bytes(data)
    return artifact(standard_artifacts.ExampleStatistics, folder, list(splits))


@pytest.fixture(scope="module")
def splits() -> dict[str, pa.RecordBatch]:
    return split_taxi(taxi_rows())


@pytest.fixture(scope="module")
def statistics(tmp_path_factory: pytest.TempPathFactory, splits: dict) -> standard_artifacts.ExampleStatistics:
    return write_statistics(tmp_path_factory.mktemp("statistics"), splits)


@pytest.fixture(scope="module")
def curated(statistics: Any) -> schema_pb2.Schema:
    """A schema that fits the data."""
    read = [tfdv.load_stats_binary(f"{statistics.uri}/Split-{split}/FeatureStats.pb") for split in ("train", "eval")]
    return tfdv.update_schema(tfdv.infer_schema(read[0], False), read[1], False)


def changed(schema: schema_pb2.Schema, name: str, change: Callable[[schema_pb2.Feature], None]) -> schema_pb2.Schema:
    """Return the schema with one feature changed."""
    copy = schema_pb2.Schema()
    copy.CopyFrom(schema)
    change(next(feature for feature in copy.feature if feature.name == name))
    return copy


def validate(folder: Path, statistics: Any, schema: schema_pb2.Schema, baseline: Any = None, **config: Any) -> dict:
    """Run the executor and return its summary."""
    (folder / "schema").mkdir(parents=True)
    (folder / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))
    output = artifact(standard_artifacts.ExampleAnomalies, folder / "anomalies")
    inputs = {"statistics": [statistics], "schema": [artifact(standard_artifacts.Schema, folder / "schema")]}
    if baseline is not None:
        inputs["baseline_statistics"] = [baseline]
    properties = {"config": json.dumps({**CONFIG, **config}), "runtime": "{}"}
    Executor().Do(inputs, {"anomalies": [output]}, properties)
    return json.loads((folder / "anomalies" / "summary.json").read_text())


def written_anomalies(folder: Path, split: str) -> anomalies_pb2.Anomalies:
    data = (folder / "anomalies" / f"Split-{split}" / "SchemaDiff.pb").read_bytes()
    return anomalies_pb2.Anomalies.FromString(data)


def test_data_that_fit_the_schema_pass_and_leave_the_standard_artifact(tmp_path: Path, statistics, curated) -> None:
    assert validate(tmp_path, statistics, curated) == {"anomalies": [], "drift": [], "skew": []}
    for split in ("train", "eval"):
        written = written_anomalies(tmp_path, split)
        assert not written.anomaly_info


def _without_cash(feature: schema_pb2.Feature) -> None:
    feature.ClearField("domain")
    feature.string_domain.value.extend(["Credit Card", "Unknown", "No Charge", "Dispute", "Prcard", "Pcard"])


def _needed(feature: schema_pb2.Feature) -> None:
    feature.value_count.min = feature.value_count.max = 1


def _up_to_60(feature: schema_pb2.Feature) -> None:
    feature.float_domain.max = 60


def _hours_of_a_clock(feature: schema_pb2.Feature) -> None:
    feature.int_domain.max = 12


def _text(feature: schema_pb2.Feature) -> None:
    feature.type = schema_pb2.BYTES


CASES = [
    ("payment_type", _without_cash, "enum_type_unexpected_string_values", r"missing from the schema: Cash", "domain"),
    ("pickup_latitude", _needed, "feature_type_low_number_values", "fewer values", "drop_missing"),
    ("fare", _up_to_60, "float_type_big_float", r"high value: [0-9.]+>60", "keep_range"),
    ("trip_start_hour", _hours_of_a_clock, "int_type_big_int", "large value: 23", "keep_range"),
    ("trip_seconds", _text, "unexpected_data_type", "BYTES but got INT", "bad cell"),
]


@pytest.mark.parametrize(("name", "change", "kind", "found", "remedy"), CASES, ids=[case[2] for case in CASES])
def test_data_that_break_a_curated_schema_stop_the_run_with_a_remedy(
    tmp_path: Path, statistics, curated, name, change, kind, found, remedy
) -> None:
    schema = changed(curated, name, change)
    with pytest.raises(ComponentError, match=rf"(?m)^  {name} \(train\): .*{found}.*{remedy}") as error:
        validate(tmp_path, statistics, schema)
    assert error.value.spec_path == "data.anomalies"
    assert "data.anomalies: report" in error.value.remedy
    summary = json.loads((tmp_path / "anomalies" / "summary.json").read_text())
    assert {(entry["feature"], entry["kind"]) for entry in summary["anomalies"]} == {(name, kind)}
    written = written_anomalies(tmp_path, "train")
    assert list(written.anomaly_info) == [name]


def test_a_column_that_is_gone_and_one_that_is_new_are_both_named(tmp_path: Path, splits, curated) -> None:
    renamed = {
        split: rows.rename_columns([{"fare": "price"}.get(name, name) for name in rows.schema.names])
        for split, rows in splits.items()
    }
    with pytest.raises(ComponentError) as error:
        validate(tmp_path, write_statistics(tmp_path / "statistics", renamed), curated)
    message = str(error.value)
    assert "the data have 4 anomalies" in message
    assert re.search(r"fare \(train\): Column is completely missing\. Bring the column back", message)
    assert re.search(r"price \(eval\): New column .*\. Add price to the schema file", message)


def test_anomalies_are_only_reported_when_the_spec_says_so(tmp_path: Path, statistics, curated) -> None:
    summary = validate(tmp_path, statistics, changed(curated, "fare", _up_to_60), anomalies="report")
    (train, evaluation) = summary["anomalies"]
    assert (train["split"], train["feature"], train["kind"]) == ("train", "fare", "float_type_big_float")
    assert evaluation["split"] == "eval"
    assert "keep_range" in train["remedy"]


@pytest.fixture
def other_times(tmp_path: Path, splits) -> standard_artifacts.ExampleStatistics:
    """Statistics of a year in which trips were twenty times as long and nobody paid in cash."""
    rows = scaled(splits["train"], "trip_miles", 20)
    paid = pc.replace_substring(rows.column("payment_type").cast(pa.string()), "Cash", "Credit Card").cast(pa.binary())
    return write_statistics(tmp_path / "baseline", {"train": replaced(rows, "payment_type", paid)})


def test_drift_from_the_last_blessed_data_stops_the_run(tmp_path: Path, statistics, curated, other_times) -> None:
    with pytest.raises(ComponentError) as error:
        validate(tmp_path, statistics, curated, other_times, drift=0.2)
    assert error.value.spec_path == "data.drift"
    lines = str(error.value).splitlines()
    assert [line.split(" ")[2] for line in lines if line.startswith("  ")] == ["payment_type", "trip_miles"]
    assert "between this data and the last blessed run's" in lines[1]
    assert "raising data.drift" in lines[1]
    summary = json.loads((tmp_path / "anomalies" / "summary.json").read_text())
    drift = {entry["feature"]: entry["distance"] for entry in summary["drift"]}
    cash = pc.mean(pc.equal(taxi_rows().slice(0, 10_000).column("payment_type"), b"Cash").cast(pa.float64())).as_py()
    assert drift["payment_type"] == pytest.approx(cash, abs=1e-9)
    assert drift["trip_miles"] > 0.2 > drift["company"] == 0
    assert set(drift) == {"company", "fare", "payment_type", "tips", "trip_miles"}


def test_the_same_data_do_not_drift(tmp_path: Path, statistics, curated) -> None:
    summary = validate(tmp_path, statistics, curated, statistics, drift=0.01)
    assert summary["anomalies"] == []
    assert len(summary["drift"]) == 5
    assert all(entry["distance"] == 0 for entry in summary["drift"])


@pytest.mark.parametrize("folder", ["empty", "nowhere"])
def test_without_a_blessed_model_there_is_no_drift(tmp_path: Path, statistics, curated, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    baseline = artifact(standard_artifacts.ExampleStatistics, tmp_path / folder)
    assert validate(tmp_path / "out", statistics, curated, baseline, drift=0.01)["drift"] == []


def test_two_random_parts_of_the_data_show_no_skew(tmp_path: Path, statistics, curated) -> None:
    summary = validate(tmp_path, statistics, curated, skew=0.3)
    assert summary["anomalies"] == []
    assert len(summary["skew"]) == 5


def test_splits_that_differ_show_skew(tmp_path: Path, splits, curated) -> None:
    uneven = {"train": splits["train"], "eval": scaled(splits["eval"], "trip_miles", 20)}
    with pytest.raises(ComponentError, match=r"trip_miles \(train\): .* between the train split and the eval") as error:
        validate(tmp_path, write_statistics(tmp_path / "statistics", uneven), curated, skew=0.3)
    assert error.value.spec_path == "data.skew"
    assert "data.split" in str(error.value)


def test_a_column_the_blessed_data_lack_is_said_plainly(tmp_path: Path, statistics, splits, curated) -> None:
    names = [name for name in splits["train"].schema.names if name != "trip_miles"]
    baseline = write_statistics(tmp_path / "baseline", {"train": splits["train"].select(names)})
    with pytest.raises(ComponentError, match="The other data have no values of trip_miles"):
        validate(tmp_path / "out", statistics, curated, baseline, drift=0.1)


def test_a_comparator_in_the_curated_schema_wins(curated) -> None:
    def own(feature: schema_pb2.Feature) -> None:
        feature.drift_comparator.infinity_norm.threshold = 0.5

    schema = changed(curated, "company", own)
    compared = {
        feature.name: feature.drift_comparator
        for feature in with_comparators(schema, ["company", "fare"], {"drift": 0.1, "skew": None}).feature
    }
    assert compared["company"].infinity_norm.threshold == 0.5
    assert compared["fare"].jensen_shannon_divergence.threshold == 0.1
    assert not compared["tips"].ListFields()
    assert not any(feature.HasField("skew_comparator") for feature in schema.feature)


def test_every_kind_of_anomaly_has_a_remedy_without_a_gap() -> None:
    from components.data.anomalies import _remedy

    for kind in [*anomalies_pb2.AnomalyInfo.Type.keys(), "DRIFT", "SKEW"]:
        written = _remedy(kind.lower()).format(feature="fare")
        assert written.endswith(".")
        assert "{feature" not in written


def test_the_component_takes_a_baseline_that_may_not_exist(tmp_path: Path, statistics) -> None:
    channels = {
        "statistics": channel_utils.as_channel([statistics]),
        "schema": channel_utils.as_channel([artifact(standard_artifacts.Schema, tmp_path)]),
    }
    component = ExampleValidator(CONFIG, {}, baseline_statistics=channels["statistics"], **channels)
    assert component.outputs["anomalies"].type is standard_artifacts.ExampleAnomalies
    assert set(ExampleValidator(CONFIG, {}, **channels).inputs) == {"statistics", "schema"}
