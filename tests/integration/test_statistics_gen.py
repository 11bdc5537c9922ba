"""StatisticsGen writes what TFX's own writes, field by field, on the taxi data and on odd columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.components.statistics_gen import executor as stock
from tfx.types import channel_utils, standard_artifacts

from components.data import statistics_gen
from components.data.schema_gen import Executor as SchemaExecutor
from components.data.schema_gen import SchemaGen, parse_schema
from components.data.statistics_gen import Executor, StatisticsGen
from components.engine.config import LOCAL_BEAM_RUNNER
from components.errors import ComponentError
from tests.factories.examples_artifacts import artifact, split_taxi, taxi_rows, write_examples

RELATIVE = 1e-12


def odd_rows() -> pa.RecordBatch:
    """Columns that sketches, encodings and guesses of a type would get wrong."""
    random = np.random.default_rng(0)
    many = [f"value {number}".encode() for number in random.integers(0, 60_000, 50_000)]
    return pa.record_batch(
        {
            "many_values": pa.array(many),
            "ties": pa.array([b"a", b"b", "ż".encode(), b"\xff\xfe", b""] * 10_000),
            "long": pa.array([b"x" * 3000, b"y"] * 25_000),
            "all_missing": pa.nulls(50_000),
            "several": pa.array([[1, 2, 3], [4], None, []] * 12_500, pa.list_(pa.int64())),
            "special": pa.array([0.0, -0.0, float("nan"), float("inf"), None] * 10_000, pa.float32()),
            "mostly_missing": pa.array([None] * 49_999 + [7], pa.int64()),
            "Zuerst": pa.array(range(50_000)),
        }
    )


def run(
    kind: type, examples: Any, folder: Path, properties: dict
) -> dict[str, statistics_pb2.DatasetFeatureStatistics]:
    """Run an executor of StatisticsGen and return what it wrote."""
    output = artifact(standard_artifacts.ExampleStatistics, folder)
    executor = kind()
    executor._beam_pipeline_args = [LOCAL_BEAM_RUNNER]
    executor.Do({"examples": [examples]}, {"statistics": [output]}, properties)
    assert output.split_names == '["train", "eval"]'
    return {
        split: tfdv.load_stats_binary(f"{folder}/Split-{split}/FeatureStats.pb").datasets[0]
        for split in ("train", "eval")
    }


def ours(engine: dict) -> dict:
    return {"config": "{}", "runtime": json.dumps({"engine": engine})}


def _messages(parent: Any, name: str) -> list[Any]:
    value = getattr(parent, name)
    if hasattr(value, "__len__"):
        return list(value)
    return [value] if parent.HasField(name) else []


def differences(left: Any, right: Any, where: str = "") -> list[str]:
    """Return the fields that differ: not at all allowed, but for rounding of the two that are sums of floats.

    A zero's sign is not compared: which of 0.0 and -0.0 is the smaller depends on the batches, in TFDV too.
    """
    found = []
    for field in left.DESCRIPTOR.fields:
        value, other, place = getattr(left, field.name), getattr(right, field.name), f"{where}.{field.name}"
        if field.type == field.TYPE_MESSAGE:
            one, two = _messages(left, field.name), _messages(right, field.name)
            if len(one) != len(two):
                found.append(f"{place}: {len(one)} != {len(two)} of them")
            for number, pair in enumerate(zip(one, two, strict=False)):
                found += differences(*pair, f"{place}[{number}]")
        elif field.name in ("mean", "std_dev"):
            if not np.isclose(value, other, rtol=RELATIVE, atol=0, equal_nan=True):
                found.append(f"{place}: {value!r} != {other!r}")
        elif value != other and not (value != value and other != other):
            found.append(f"{place}: {value!r} != {other!r}")
    return found


@pytest.fixture(scope="module", params=["taxi", "odd"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, dict, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    rows = odd_rows()
    splits = split_taxi(taxi_rows()) if request.param == "taxi" else {"train": rows, "eval": rows.slice(0, 20_000)}
    examples = write_examples(folder / "examples", splits)
    mine = run(Executor, examples, folder / "ours", ours({"name": "arrow"}))
    return mine, run(stock.Executor, examples, folder / "stock", {}), folder


@pytest.mark.parametrize("split", ["train", "eval"])
def test_statistics_equal_the_stock_ones_field_by_field(both, split: str) -> None:
    mine, theirs = both[0][split], both[1][split]
    by_name = [{feature.path.step[0]: feature for feature in statistics.features} for statistics in (mine, theirs)]
    assert sorted(by_name[0]) == sorted(by_name[1])
    assert mine.num_examples == theirs.num_examples > 5000
    found = [text for name in by_name[0] for text in differences(by_name[0][name], by_name[1][name], name)]
    assert found == []


def test_the_summary_counts_examples_and_features(both) -> None:
    summary = json.loads((both[2] / "ours" / "summary.json").read_text())
    assert summary == {
        "examples": {split: both[1][split].num_examples for split in ("train", "eval")},
        "features": len(both[1]["train"].features),
    }


def test_batches_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = write_examples(tmp_path / "examples", split_taxi(taxi_rows()))
    whole = run(Executor, examples, tmp_path / "whole", ours({"name": "arrow"}))
    monkeypatch.setattr(statistics_gen, "BATCH_ROWS", 777)
    small = run(Executor, examples, tmp_path / "small", ours({"name": "arrow"}))
    for name in ("company", "trip_start_hour", "tips"):
        one, two = (
            next(feature for feature in statistics["train"].features if feature.path.step[0] == name)
            for statistics in (whole, small)
        )
        assert differences(one.string_stats, two.string_stats) == []
        assert one.num_stats.common_stats == two.num_stats.common_stats


def test_data_beyond_the_memory_given_are_left_to_beam(tmp_path: Path) -> None:
    examples = write_examples(tmp_path / "examples", split_taxi(taxi_rows().slice(9000, 2000)))
    examples.split_names = '["train", "eval"]'
    events = tmp_path / "progress"
    properties = {
        "config": "{}",
        "runtime": json.dumps({"engine": {"memory_fraction": 1e-9}, "progress": str(events)}),
    }
    written = run(Executor, examples, tmp_path / "out", properties)
    assert "computing statistics on Beam" in events.read_text()
    assert written["train"].num_examples == 2000


def statistics_of_taxi(tmp_path: Path) -> standard_artifacts.ExampleStatistics:
    run(Executor, write_examples(tmp_path / "in", split_taxi(taxi_rows())), tmp_path / "st", ours({"name": "arrow"}))
    return artifact(standard_artifacts.ExampleStatistics, tmp_path / "st", ["train", "eval"])


def write_schema(statistics: Any, folder: Path, text: str | None) -> str:
    output = artifact(standard_artifacts.Schema, folder)
    properties = {"config": json.dumps({"schema": text}), "runtime": "{}"}
    SchemaExecutor().Do({"statistics": [statistics]}, {"schema": [output]}, properties)
    assert [file.name for file in folder.iterdir()] == ["schema.pbtxt"]
    return (folder / "schema.pbtxt").read_text()


def test_an_inferred_schema_covers_both_splits_and_leaves_shapes_open(tmp_path: Path) -> None:
    schema = parse_schema(write_schema(statistics_of_taxi(tmp_path), tmp_path / "schema", None))
    companies = {row for row in taxi_rows().column("company").to_pylist() if row}
    (domain,) = [domain for domain in schema.string_domain if domain.name == "company"]
    assert set(domain.value) == {company.decode() for company in companies}
    assert not any(feature.HasField("shape") for feature in schema.feature)
    assert len(schema.feature) == 18


def test_a_curated_schema_is_passed_on_as_it_was_written(tmp_path: Path) -> None:
    text = '# mine\nfeature { name: "fare" type: FLOAT }\n'
    assert write_schema(statistics_of_taxi(tmp_path), tmp_path / "schema", text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('feature {\n  name: "fare"\n  typ: FLOAT\n}', r"line 3, 'typ: FLOAT':.*no field named \"typ\""),
        ('feature {\n  name: "fare"\n  type: FLOTA\n}', r"line 3, 'type: FLOTA':.*FLOTA"),
        ('feature { name: "fare"', r"line 1, .*Expected \"}\""),
        ("# nothing\n", "describes no feature"),
    ],
)
def test_a_schema_that_does_not_parse_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ComponentError, match=message) as error:
        parse_schema(text)
    assert error.value.spec_path == "data.schema_file"
    assert error.value.remedy


def test_the_components_are_wired_by_their_outputs(tmp_path: Path) -> None:
    examples = channel_utils.as_channel([artifact(standard_artifacts.Examples, tmp_path, ["train", "eval"])])
    statistics = StatisticsGen({}, {"engine": {}}, examples=examples)
    schema = SchemaGen({"schema": None}, {}, statistics=statistics.outputs["statistics"])
    assert schema.outputs["schema"].type is standard_artifacts.Schema
    assert json.loads(schema.exec_properties["config"]) == {"schema": None}
