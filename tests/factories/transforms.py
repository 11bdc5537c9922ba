"""A Transform on any columns: raw examples and schema as artifacts, and what either engine makes of them."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.engine.examples import ExampleWriter, encode_examples, read_batches
from components.expression import Expression

LABEL = {"name": "target", "expression": "target"}


@dataclass(frozen=True)
class Made:
    """Folders of the artifacts."""

    root: Path

    @property
    def graph(self) -> Path:
        """Return the folder of the TransformGraph."""
        return self.root / "graph"

    @property
    def summary(self) -> dict[str, Any]:
        """Return what Transform tells the report."""
        return dict(json.loads((self.graph / "summary.json").read_text()))

    def values(self, split: str = "train") -> dict[str, np.ndarray]:
        """Return the transformed examples, `[rows, width]`."""
        table = pa.Table.from_batches(list(read_batches(self.root / "transformed" / f"Split-{split}")))
        columns = {name: table[name].combine_chunks() for name in table.schema.names}
        return {
            name: np.reshape(column.flatten() if pa.types.is_list(column.type) else column, [len(column), -1])
            for name, column in columns.items()
        }

    def served(self, rows: list[dict[str, Any]]) -> list[dict[str, np.ndarray]]:
        """Return what the saved graph makes of requests, one at a time; a request may leave columns out."""
        import tensorflow as tf
        import tensorflow_transform as tft

        output = tft.TFTransformOutput(str(self.graph))
        spec = output.raw_feature_spec()
        found = []
        for row in rows:
            batch = pa.RecordBatch.from_pylist([{name: value for name, value in row.items() if value is not None}])
            record = encode_examples(batch).to_pylist() if batch.num_columns else [b""]
            parsed = tf.io.parse_example(record, {name: kind for name, kind in spec.items() if name in row})
            made = output.transform_raw_features(parsed, drop_unused_features=True)
            found.append({name: tensor.numpy() for name, tensor in made.items()})
        return found


def config_of(
    features: dict[str, str], chains: dict[str, Any], task: str = "regression", weight: str | None = None, **label: str
) -> dict[str, Any]:
    """Return the component's config."""
    from components.transform.config import TransformConfig

    parsed = TransformConfig.model_validate(chains)
    assert parsed.problems(features) == []  # type: ignore[arg-type]
    columns = {"features": features, "label": {**LABEL, **label}, "weight": weight}
    return {"columns": columns, "transform": parsed.model_dump(mode="json"), "task": task}


def write_raw(root: Path, splits: dict[str, pa.RecordBatch]) -> None:
    """Write Examples and a schema whose types are the columns'."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = schema_pb2.Schema()
    for field in next(iter(splits.values())).schema:
        floating = schema_pb2.FLOAT if pa.types.is_floating(field.type) else schema_pb2.BYTES
        schema.feature.add(name=field.name, type=schema_pb2.INT if pa.types.is_integer(field.type) else floating)
    for split, batch in splits.items():
        with ExampleWriter(root / "raw" / f"Split-{split}") as writer:
            writer.write(encode_examples(batch))
    (root / "schema").mkdir()
    (root / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema))


def run_in_process(root: Path, config: dict[str, Any], splits: dict[str, pa.RecordBatch]) -> Made:
    """Run what the Arrow engine runs, without TFX around it."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.transform.arrow_engine import Places, RawTensors, transform
    from components.transform.config import TransformConfig
    from components.transform.preprocessing_fn import preprocessing_fn
    from components.transform.summary import write_summary

    write_raw(root, splits)
    schema = text_format.Parse((root / "schema" / "schema.pbtxt").read_text(), schema_pb2.Schema())
    used = {*config["columns"]["features"], *Expression(config["columns"]["label"]["expression"]).columns}
    used |= {config["columns"]["weight"]} - {None}
    made = Made(root)
    rows = transform(
        functools.partial(preprocessing_fn, custom_config={"config": json.dumps(config)}),
        RawTensors(schema, sorted(used)),
        Places(str(root / "raw"), str(made.graph), str(root / "transformed")),
        list(splits),
        lambda text: None,
    )
    write_summary(str(made.graph), TransformConfig.model_validate(config["transform"]), rows)
    return made


def run_executor(root: Path, config: dict[str, Any], splits: dict[str, pa.RecordBatch], engine: str = "auto") -> Made:
    """Run the component's executor as TFX does."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from components.transform.component import FUNCTION
    from components.transform.executor import Executor

    write_raw(root, splits)

    def artifact(kind: Any, folder: str) -> Any:
        made = kind()
        made.uri = str(root / folder)
        Path(made.uri).mkdir(exist_ok=True)
        return made

    raw = artifact(standard_artifacts.Examples, "raw")
    raw.split_names = json.dumps(list(splits))
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=[], tmp_dir=str(root / "tmp"), unique_id="1"
    )
    runtime = {"engine": {"name": engine}}
    Executor(context).Do(
        {"examples": [raw], "schema": [artifact(standard_artifacts.Schema, "schema")]},
        {
            "transform_graph": [artifact(standard_artifacts.TransformGraph, "graph")],
            "transformed_examples": [artifact(standard_artifacts.Examples, "transformed")],
        },
        {
            "custom_config": json.dumps({"config": json.dumps(config), "runtime": json.dumps(runtime)}),
            "preprocessing_fn": FUNCTION,
            "module_file": None,
            "module_path": None,
            "force_tf_compat_v1": 0,
            "splits_config": None,
            "disable_statistics": 1,
            "stats_options_updater_fn": None,
            "disable_analyzer_cache": 1,
        },
    )
    return Made(root)
