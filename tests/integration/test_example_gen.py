"""ExampleGen writes what TFX's own CsvExampleGen writes: the same examples in the same splits."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.data.config import IngestConfig
from components.data.ingest import ingest
from components.data.source import resolve
from components.engine.config import LOCAL_BEAM_RUNNER
from components.engine.examples import read_batches, read_records, split_directory
from components.errors import ComponentError

TAXI = resolve("package:tfx/examples/chicago_taxi_pipeline/data/simple/data.csv", "/")

ODD_ROWS = [
    'name,text,whole,decimal,date,huge,signed,hex,underscored,empty,padded,special,mixed,"none"',
    '1,"a ""quoted"" word, with a comma",5,1.5,2024-05-31,9223372036854775808,+5,0x10,1_000,, 7,nan,1,',
    '2,"two\nlines",-7,.5,2024-06-01,1,-5,16,2000,,8 ,inf,2.0,',
    "3,żółw ☃,9223372036854775807,1e3,12:30,2,+0,0x1F,3,, 9,-inf,3,",
    "4,,0,,,,,,,,,,,",
    '5,"",-9223372036854775808,3,2024-06-02,4,007,17,4,,10,1e400,4,',
    "",
    '6,NA,1,1e-42,null,5,1,18,5,,11,-nan,5,"  "',
    "7,true,127,7.25,2024-06-03,6,128,19,6,,12,1e-400,6,",
    '8,5" pipe and another 6" pipe,128,3.4028236e38,2024-06-04,7,16384,20,7,,13,0.1,7,',
]


def stock_examples(folder: Path, target: Path, train: int = 2, held_out: int = 1) -> dict[str, Counter[bytes]]:
    """Run TFX's CsvExampleGen on the CSV files of a folder."""
    from google.protobuf import json_format
    from tfx.components.example_gen.csv_example_gen import executor
    from tfx.dsl.components.base import base_beam_executor
    from tfx.proto import example_gen_pb2
    from tfx.types import standard_artifacts

    output = example_gen_pb2.Output()
    output.split_config.splits.add(name="train", hash_buckets=train)
    output.split_config.splits.add(name="eval", hash_buckets=held_out)
    source = example_gen_pb2.Input()
    source.splits.add(name="single_split", pattern="*")
    examples = standard_artifacts.Examples()
    examples.uri = str(target)
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=[LOCAL_BEAM_RUNNER], tmp_dir=str(target / "tmp"), unique_id="1"
    )
    executor.Executor(context).Do(
        {},
        {"examples": [examples]},
        {
            "input_base": str(folder),
            "input_config": json_format.MessageToJson(source),
            "output_config": json_format.MessageToJson(output),
            "output_data_format": example_gen_pb2.FORMAT_TF_EXAMPLE,
        },
    )
    return {split: canonical(records) for split, records in written(target).items()}


def canonical(records: Counter[bytes]) -> Counter[bytes]:
    """Sort the features of each record: TFX splits by these bytes, but writes them in any order."""
    import tensorflow as tf

    sort = lambda record: tf.train.Example.FromString(record).SerializeToString(deterministic=True)  # noqa: E731
    return Counter(sort(record) for record in records.elements())


def written(target: Path) -> dict[str, Counter[bytes]]:
    """Return how often each record is in each split."""
    found = {}
    for split in ("train", "eval"):
        folder = split_directory(target, split)
        found[split] = Counter(record for records in read_records(folder) for record in records.to_pylist())
    return found


def make(data: Path | str, target: Path, **config: Any) -> dict[str, Any]:
    return ingest(IngestConfig.model_validate(config), str(data), target, {})


def test_the_taxi_data_become_the_examples_that_tfx_makes(tmp_path):
    summary = make(TAXI, tmp_path / "ours")
    assert written(tmp_path / "ours") == stock_examples(Path(TAXI).parent, tmp_path / "stock")
    assert summary["splits"] == {"train": 10_036, "eval": 4_966}
    assert summary["columns"]["company"] == "bytes"
    assert summary["columns"]["fare"] == "float32"
    assert summary["columns"]["trip_start_hour"] == "int64"


def write_rows(path: Path, rows: list[str], ending: str = "\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(row + ending for row in rows).encode())
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_odd_values_become_the_examples_that_tfx_makes(tmp_path, ending):
    # TFX takes the quotes of a header for a part of the name, so it is given without.
    rows = [ODD_ROWS[0].replace('"', ""), *ODD_ROWS[1:]]
    write_rows(tmp_path / "data" / "odd.csv", rows, ending)
    summary = make(tmp_path / "data", tmp_path / "ours", split={"train": 3, "eval": 2})
    assert written(tmp_path / "ours") == stock_examples(tmp_path / "data", tmp_path / "stock", 3, 2)
    assert summary["columns"] == {
        "name": "int64", "text": "bytes", "whole": "int64", "decimal": "float32", "date": "bytes", "huge": "bytes",
        "signed": "int64", "hex": "bytes", "underscored": "int64", "empty": "null", "padded": "int64",
        "special": "float32", "mixed": "float32", "none": "bytes",
    }  # fmt: skip


def test_several_files_are_typed_together_as_tfx_does(tmp_path):
    write_rows(tmp_path / "data" / "a.csv", ["x,y", "1,2", "3,4", "5,6"])
    write_rows(tmp_path / "data" / "b.csv", ["x,y", "1.5,word", "2,", "7,8"])
    summary = make(tmp_path / "data" / "*.csv", tmp_path / "ours", split={"train": 1, "eval": 1})
    assert written(tmp_path / "ours") == stock_examples(tmp_path / "data", tmp_path / "stock", 1, 1)
    assert summary["columns"] == {"x": "float32", "y": "bytes"}


def test_the_component_runs_in_a_tfx_pipeline(tmp_path):
    from tfx.orchestration import metadata, pipeline
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    from components.data.example_gen import ExampleGen

    config = IngestConfig(split={"train": 8, "eval": 2}).model_dump(mode="json")
    runtime = {"data_path": TAXI, "progress": str(tmp_path / "progress.jsonl")}
    component = ExampleGen(config, runtime).with_id("ExampleGen")
    LocalDagRunner().run(
        pipeline.Pipeline(
            pipeline_name="one",
            pipeline_root=str(tmp_path / "root"),
            components=[component],
            enable_cache=False,
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite")),
        )
    )
    (folder,) = (tmp_path / "root" / "ExampleGen" / "examples").iterdir()
    summary = json.loads((folder / "summary.json").read_text())
    assert {split: sum(count.values()) for split, count in written(folder).items()} == summary["splits"]
    assert 0.75 < summary["splits"]["train"] / summary["rows"] < 0.85
    with metadata.Metadata(metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))) as store:
        (artifact,) = store.store.get_artifacts_by_type("Examples")
    assert json.loads(artifact.properties["split_names"].string_value) == ["train", "eval"]
    assert artifact.custom_properties["payload_format"].string_value == "FORMAT_TF_EXAMPLE"


def test_parquet_becomes_the_examples_of_the_same_csv(tmp_path):
    import pyarrow.csv

    table = pyarrow.csv.read_csv(TAXI)
    pq.write_table(table.slice(0, 9_000), tmp_path / "a.parquet", row_group_size=1_000)
    pq.write_table(table.slice(9_000), tmp_path / "b.parquet")
    make(TAXI, tmp_path / "csv")
    summary = make(tmp_path / "*.parquet", tmp_path / "parquet")
    assert summary["rows"] == 15_002
    # An empty text is a missing value in CSV, and a value in Parquet: pyarrow's reader keeps it as text.
    by_format = {name: list(read_batches(split_directory(tmp_path / name, "train"))) for name in ("csv", "parquet")}
    rows = {name: sum(batch.num_rows for batch in batches) for name, batches in by_format.items()}
    assert abs(rows["csv"] - rows["parquet"]) < 300
    fares = {
        split: sorted(
            value
            for name in ("train", "eval")
            for batch in read_batches(split_directory(tmp_path / split, name), ["fare"])
            for value in batch.column(0).to_pylist()
        )
        for split in ("csv", "parquet")
    }
    assert fares["csv"] == fares["parquet"]


def test_tfrecords_pass_byte_for_byte_and_split_as_before(tmp_path):
    make(TAXI, tmp_path / "first")
    parts = tmp_path / "first" / "Split-*" / "*.gz"
    summary = make(parts, tmp_path / "second")
    assert written(tmp_path / "second") == written(tmp_path / "first")
    assert summary["columns"]["company"] == "bytes"


def test_the_same_data_make_the_same_files(tmp_path):
    for name in ("a", "b"):
        make(TAXI, tmp_path / name)
    for split in ("train", "eval"):
        first, second = (next(Path(split_directory(tmp_path / name, split)).iterdir()) for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_gzipped_and_remote_files_give_the_same_examples(tmp_path):
    import gzip

    rows = Path(TAXI).read_bytes()
    (tmp_path / "taxi.csv.gz").write_bytes(gzip.compress(rows))
    (tmp_path / "taxi.csv").write_bytes(rows)
    make(TAXI, tmp_path / "plain")
    for index, path in enumerate([tmp_path / "taxi.csv.gz", f"file://{tmp_path}/taxi.csv", f"file://{tmp_path}/*.gz"]):
        make(path, tmp_path / str(index))
        assert written(tmp_path / str(index)) == written(tmp_path / "plain")


def column(target: Path, split: str, name: str) -> list[Any]:
    batches = read_batches(split_directory(target, split), [name])
    return [value for batch in batches for value in batch.column(0).to_pylist()]


def test_a_hash_of_columns_keeps_equal_values_together(tmp_path):
    make(TAXI, tmp_path, split={"by": "hash", "columns": ["company", "trip_start_day"]})
    pairs = {
        split: set(zip(column(tmp_path, split, "company"), column(tmp_path, split, "trip_start_day"), strict=True))
        for split in ("train", "eval")
    }
    assert not pairs["train"] & pairs["eval"]
    assert len(pairs["eval"]) > 50


def test_a_hash_of_one_column_is_the_partition_feature_of_tfx(tmp_path):
    import hashlib

    import tensorflow as tf

    make(TAXI, tmp_path, split={"by": "hash", "columns": ["trip_start_day"], "train": 2, "eval": 2})
    for split, buckets in (("train", {0, 1}), ("eval", {2, 3})):
        for value in set(column(tmp_path, split, "trip_start_day")):
            feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
            digest = hashlib.sha256(feature.SerializeToString(deterministic=True)).hexdigest()
            assert int(digest, 16) % 4 in buckets


def test_a_ratio_follows_the_order_of_the_file(tmp_path):
    write_rows(tmp_path / "rows.csv", ["n", *map(str, range(1_000))])
    make(tmp_path / "rows.csv", tmp_path / "out", split={"by": "ratio", "train": 3, "eval": 1})
    assert column(tmp_path / "out", "train", "n") == list(range(750))
    assert column(tmp_path / "out", "eval", "n") == list(range(750, 1_000))


def test_a_split_by_time_trains_on_the_oldest_rows(tmp_path):
    make(TAXI, tmp_path, split={"by": "time", "columns": ["trip_start_timestamp"], "train": 4, "eval": 1})
    train, held_out = (column(tmp_path, split, "trip_start_timestamp") for split in ("train", "eval"))
    assert max(train) <= min(held_out)
    assert len(train) == round(15_002 * 0.8)


def test_dates_are_sorted_as_dates(tmp_path):
    days = [f"2024-{month:02}-{day:02}" for month in (12, 3, 7) for day in (5, 25, 15)]
    write_rows(tmp_path / "rows.csv", ["day,n", *(f"{day},{n}" for n, day in enumerate(days))])
    make(tmp_path / "rows.csv", tmp_path / "out", split={"by": "time", "columns": ["day"], "train": 2, "eval": 1})
    assert sorted(column(tmp_path / "out", "eval", "day")) == [b"2024-12-05", b"2024-12-15", b"2024-12-25"]


def test_dates_in_another_order_are_refused(tmp_path):
    write_rows(tmp_path / "rows.csv", ["day", "2024-01-02", "31.12.2023"])
    with pytest.raises(ComponentError, match=r"'day' holds '31\.12\.2023'"):
        make(tmp_path / "rows.csv", tmp_path / "out", split={"by": "time", "columns": ["day"]})


def test_lists_of_parquet_keep_their_values(tmp_path):
    rows = {"tags": [["a", "b"], [], None, ["c"]] * 20, "n": list(range(80)), "flag": [True, False] * 40}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    make(tmp_path / "a.parquet", tmp_path / "out")
    both = {
        n: tags
        for split in ("train", "eval")
        for n, tags in zip(column(tmp_path / "out", split, "n"), column(tmp_path / "out", split, "tags"), strict=True)
    }
    assert [both[n] for n in range(4)] == [[b"a", b"b"], [], [], [b"c"]]
