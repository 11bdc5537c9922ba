"""Artifacts that a Trainer reads, made of the real taxi data with TFX's own libraries."""

from __future__ import annotations

import functools
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from components.engine.examples import ExampleWriter, decode_examples, encode_examples, read_records, to_list_columns
from components.expression import Expression

FEATURES = {
    "trip_miles": "numeric",
    "trip_start_hour": "categorical",
    "company": "categorical",
    "payment_type": "categorical",
    "trip_seconds": "numeric",
    "pickup_latitude": "numeric",
}
CHAINS: dict[str, Any] = {
    "trip_miles": [{"fill_missing": "median"}, "z_score"],
    "trip_seconds": [{"fill_missing": "mean"}, "z_score"],
    "pickup_latitude": [{"fill_missing": "mean"}, {"bucketize": 10}],
    "text": [{"tokenize": "words"}, {"token_ids": {"length": 8, "top_k": 50}}],
}
LABELS = {
    "binary_classification": "tips > 0.2 * fare",
    "multiclass_classification": "payment_group",
    "regression": "fare",
}


@dataclass(frozen=True)
class Artifacts:
    """Folders in TFX's layout, and the part of the spec they were made for."""

    root: Path
    raw: Path
    transformed: Path
    graph: Path
    schema: Path
    columns: dict[str, Any]
    task: str

    def raw_batch(self, split: str) -> pa.RecordBatch:
        """Return the raw rows of a split."""
        return decode_examples(pa.concat_arrays(list(read_records(self.raw / f"Split-{split}"))))


def taxi(rows: int) -> pa.Table:
    """Return rows of the taxi data that TFX ships, with a class of payment that is never missing."""
    spec = importlib.util.find_spec("tfx")
    assert spec is not None
    assert spec.origin is not None
    table = pa.csv.read_csv(Path(spec.origin).parent / "examples/chicago_taxi_pipeline/data/simple/data.csv")
    table = table.slice(0, rows)
    payment = table["payment_type"].to_pylist()
    group = [each if each in {"Cash", "Credit Card"} else "Other" for each in payment]
    table = table.append_column("payment_group", pa.array(group))
    return table.filter(pc.and_(pc.is_valid(table["fare"]), pc.is_valid(table["tips"])))


def make_artifacts(root: Path, task: str, rows: int = 6000, weight: str | None = None) -> Artifacts:
    """Write raw examples, schema, transform graph and transformed examples."""
    features = {
        name: kind for name, kind in FEATURES.items() if task != "multiclass_classification" or "pay" not in name
    }
    columns = {"features": features, "label": {"name": "target", "expression": LABELS[task]}, "weight": weight}
    artifacts = Artifacts(
        root, root / "raw", root / "transformed", root / "graph", root / "schema" / "schema.pbtxt", columns, task
    )
    table = taxi(rows).combine_chunks()
    train = np.arange(table.num_rows) % 3 < 2
    for split, part in (("train", train), ("eval", ~train)):
        with ExampleWriter(artifacts.raw / f"Split-{split}") as writer:
            writer.write(encode_examples(table.filter(pa.array(part)).to_batches()[0]))
    _transform(artifacts)
    return artifacts


def _transform(artifacts: Artifacts) -> None:
    import tensorflow_data_validation as tfdv

    from components.transform.arrow_engine import Places, RawTensors, transform
    from components.transform.config import TransformConfig
    from components.transform.preprocessing_fn import preprocessing_fn

    schema = tfdv.infer_schema(_statistics(to_list_columns(artifacts.raw_batch("train"))), infer_feature_shape=False)
    artifacts.schema.parent.mkdir(parents=True)
    tfdv.write_schema_text(schema, str(artifacts.schema))
    features, label, weight = (artifacts.columns[key] for key in ("features", "label", "weight"))
    chains = TransformConfig.model_validate({name: steps for name, steps in CHAINS.items() if name in features})
    config = {
        "columns": artifacts.columns,
        "transform": chains.with_defaults(features).model_dump(mode="json"),
        "task": artifacts.task,
    }
    used = {*features, *Expression(label["expression"]).columns, *filter(None, [weight])}
    transform(
        functools.partial(preprocessing_fn, custom_config={"config": json.dumps(config)}),
        RawTensors(schema, sorted(used)),
        Places(str(artifacts.raw), str(artifacts.graph), str(artifacts.transformed)),
        ["train", "eval"],
        lambda text: None,
    )


def _statistics(batch: pa.RecordBatch) -> Any:
    from tensorflow_data_validation.statistics import stats_impl, stats_options

    generators = stats_impl.get_generators(stats_options.StatsOptions(), in_memory=True)
    accumulated = [each.add_input(each.create_accumulator(), batch) for each in generators]
    return stats_impl.extract_statistics_output(accumulated, generators)


def job_arguments(
    artifacts: Artifacts, output: Path, model: dict[str, Any], training: dict[str, Any], source: str | None = None
) -> dict[str, Any]:
    """Return arguments of `components.training.run_fn.Job` for a training on these artifacts."""
    from components.training.config import TrainingConfig

    return {
        "config": {
            "model": model,
            "module_source": source,
            "training": TrainingConfig.model_validate(training).model_dump(mode="json"),
            "columns": artifacts.columns,
            "task": artifacts.task,
        },
        "runtime": {},
        "train_folder": str(artifacts.transformed / "Split-train"),
        "eval_folder": str(artifacts.transformed / "Split-eval"),
        "transform_graph": str(artifacts.graph),
        "model_folder": output / "model",
        "serving_folder": output / "model" / "Format-Serving",
        "run_folder": output / "run",
        "raw_folder": str(artifacts.raw / "Split-eval"),
    }
