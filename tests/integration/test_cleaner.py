"""Cleaner on the taxi data: both engines, byte for byte, and what it says when cleaning goes wrong."""

from __future__ import annotations

import collections
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import tensorflow as tf
from tfx.types import channel_utils, standard_artifacts

from components.cleaning.component import Cleaner
from components.cleaning.executor import Executor
from components.engine.examples import decode_examples, encode_examples, read_records, split_directory
from components.errors import ComponentError
from tests.factories.examples_artifacts import artifact, split_taxi, taxi_rows, write_examples

STEPS = [
    {"drop_missing": ["pickup_latitude", "company"]},
    {"keep_range": {"column": "fare", "min": 3, "max": 60}},
    {"drop_duplicates": ["trip_start_timestamp", "company"]},
    {"keep_values": {"column": "payment_type", "values": ["Cash", "Credit Card"]}},
]


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.Examples:
    return write_examples(tmp_path_factory.mktemp("taxi"), split_taxi(taxi_rows()))


def clean(examples: Any, folder: Path, steps: list, engine: dict | None = None, **runtime: Any) -> dict:
    """Run the executor and return its summary."""
    output = artifact(standard_artifacts.Examples, folder)
    folder.mkdir(parents=True)
    properties = {
        "config": json.dumps({"cleaning": steps}),
        "runtime": json.dumps({"engine": engine or {"name": "arrow"}, **runtime}),
    }
    Executor().Do({"raw_examples": [examples]}, {"examples": [output]}, properties)
    assert output.split_names == examples.split_names
    return json.loads((folder / "summary.json").read_text())


def records(folder: str | Path, split: str) -> list[bytes]:
    return [record for batch in read_records(split_directory(folder, split)) for record in batch.to_pylist()]


@pytest.fixture(scope="module")
def cleaned(taxi: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict]]:
    root = tmp_path_factory.mktemp("cleaned")
    return {name: (root / name, clean(taxi, root / name, STEPS, {"name": name})) for name in ("arrow", "beam")}


def test_both_engines_keep_the_same_rows(cleaned) -> None:
    for split in ("train", "eval"):
        arrow, beam = (records(cleaned[name][0], split) for name in ("arrow", "beam"))
        assert len(arrow) > 1000
        assert collections.Counter(arrow) == collections.Counter(beam)


def test_both_engines_count_the_same(cleaned) -> None:
    assert cleaned["arrow"][1] == cleaned["beam"][1]


def test_each_step_is_counted_where_it_dropped(cleaned) -> None:
    folder, summary = cleaned["arrow"]
    assert summary["rows_in"] == {"train": 10_000, "eval": 5_002}
    for split in ("train", "eval"):
        dropped = [step["dropped"][split] for step in summary["steps"]]
        assert all(dropped)
        assert summary["rows_in"][split] - sum(dropped) == summary["rows_out"][split] == len(records(folder, split))
    assert summary["steps"][0]["step"] == "drop_missing: [pickup_latitude, company]"


def test_the_rows_that_stay_are_those_that_pandas_keeps(cleaned) -> None:
    frame = taxi_rows().to_pandas()
    frame["split"] = ["train"] * 10_000 + ["eval"] * 5_002
    frame = frame.dropna(subset=["pickup_latitude", "company"])
    frame = frame[frame.fare.isna() | frame.fare.between(3, 60)]
    frame = frame.drop_duplicates(subset=["trip_start_timestamp", "company"], keep="first")
    frame = frame[frame.payment_type.isin([b"Cash", b"Credit Card"])]
    for split in ("train", "eval"):
        expected = encode_examples(taxi_rows().take(pa.array(frame.index[frame.split == split]))).to_pylist()
        assert records(cleaned["arrow"][0], split) == expected


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_tensorflow_reads_what_was_written(cleaned, engine: str) -> None:
    files = tf.io.gfile.glob(f"{cleaned[engine][0]}/Split-eval/*.gz")
    count = sum(1 for _ in tf.data.TFRecordDataset(files, "GZIP"))
    assert count == cleaned[engine][1]["rows_out"]["eval"]
    assert sorted(path.name for path in cleaned[engine][0].iterdir()) == ["Split-eval", "Split-train", "summary.json"]


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_an_eval_row_that_equals_a_train_row_is_dropped(tmp_path: Path, engine: str) -> None:
    train = pa.record_batch({"id": pa.array([1, 2, 1]), "x": pa.array([b"first", b"second", b"third"])})
    evaluation = pa.record_batch({"id": pa.array([2, 3, 3]), "x": pa.array([b"fourth", b"fifth", b"sixth"])})
    examples = write_examples(tmp_path / "in", {"train": train, "eval": evaluation})
    summary = clean(examples, tmp_path / "out", [{"drop_duplicates": ["id"]}], {"name": engine})
    kept = {
        split: sorted(decode_examples(pa.array(records(tmp_path / "out", split))).column("x").to_pylist())
        for split in ("train", "eval")
    }
    assert kept == {"train": [b"first", b"second"], "eval": [b"fifth"]}
    assert summary["steps"] == [{"step": "drop_duplicates: [id]", "dropped": {"train": 1, "eval": 2}}]


def test_whole_rows_that_repeat_are_dropped(taxi: Any, tmp_path: Path) -> None:
    clean(taxi, tmp_path / "out", ["drop_duplicates"])
    seen: set[bytes] = set()
    for split in ("train", "eval"):
        expected = [record for record in records(taxi.uri, split) if not (record in seen or seen.add(record))]
        assert records(tmp_path / "out", split) == expected


def test_without_steps_the_files_are_the_same(taxi: Any, tmp_path: Path) -> None:
    summary = clean(taxi, tmp_path / "out", [])
    assert summary == {
        "rows_in": {"train": 10_000, "eval": 5_002},
        "rows_out": {"train": 10_000, "eval": 5_002},
        "steps": [],
    }
    (source,) = Path(split_directory(taxi.uri, "train")).iterdir()
    assert (tmp_path / "out" / "Split-train" / source.name).read_bytes() == source.read_bytes()


def test_data_beyond_the_memory_given_go_through_beam(taxi: Any, tmp_path: Path) -> None:
    events = tmp_path / "progress"
    engine = {"name": "auto", "memory_fraction": 1e-9}
    clean(taxi, tmp_path / "out", [{"drop_missing": ["company"]}], engine, progress=str(events))
    assert "cleaning on Beam" in events.read_text()


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_a_step_that_leaves_no_row_of_a_split_is_named(taxi: Any, tmp_path: Path, engine: str) -> None:
    steps = [{"drop_missing": ["company"]}, {"keep_range": {"column": "fare", "min": 1e6}}]
    message = r"dropped all 10,000 rows of split 'train'; most by 'keep_range: \{column: fare, min: 1e\+06\}'"
    with pytest.raises(ComponentError, match=message) as error:
        clean(taxi, tmp_path / "out", steps, {"name": engine})
    assert error.value.spec_path == "cleaning[1]"
    assert error.value.remedy.startswith("Loosen that step")


def test_an_unknown_column_is_answered_with_the_nearest_one(taxi: Any, tmp_path: Path) -> None:
    steps = [{"drop_missing": ["fare"]}, {"drop_missing": ["compny"]}]
    with pytest.raises(ComponentError, match=r"names 'compny', which the data do not have") as error:
        clean(taxi, tmp_path / "out", steps)
    assert error.value.spec_path == "cleaning[1]"
    assert "did you mean 'company'?" in error.value.remedy


@pytest.mark.parametrize("engine", ["arrow", "beam"])
def test_a_range_over_text_is_refused_with_the_place(taxi: Any, tmp_path: Path, engine: str) -> None:
    message = "keep_range looks at columns of number; column 'company' holds a text"
    with pytest.raises(ComponentError, match=message) as error:
        clean(taxi, tmp_path / "out", [{"keep_range": {"column": "company", "min": 0}}], {"name": engine})
    assert error.value.spec_path == "cleaning[0]"


def test_the_component_gives_examples_to_the_next_one(taxi: Any) -> None:
    component = Cleaner({"cleaning": STEPS}, {"engine": {}}, examples=channel_utils.as_channel([taxi]))
    assert component.outputs["examples"].type is standard_artifacts.Examples
    assert json.loads(component.exec_properties["config"]) == {"cleaning": STEPS}
