"""TFMA on Apache Beam, fed with the predictions that were already made: the model does not run a second time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from components.evaluation.predictions import RAW, Predictions, from_table
from components.evaluation.tfma_arrow import clipped
from components.features import Task


def write_evaluation(pipeline: Any, predictions_file: str, task: Task, config: Any, folder: str) -> None:
    """Add to a Beam pipeline what writes TFMA's files of an evaluation.

    Args:
        pipeline: the Beam pipeline.
        predictions_file: predictions.parquet.
        task: what kind of prediction it is.
        config: what `tfma_config.eval_config` returned.
        folder: where the files go.
    """
    import apache_beam as beam
    import tensorflow_model_analysis as tfma
    from tensorflow_model_analysis.extractors import slice_key_extractor

    columns = sorted({key for spec in config.slicing_specs for key in spec.feature_keys})
    weighted = bool(config.model_specs[0].example_weight_key)
    read = ["label", "prediction", "weight", *(RAW + name for name in columns)]
    _ = (
        pipeline
        | "ReadPredictions" >> beam.io.ReadFromParquetBatched(predictions_file, columns=read)
        | "ToExtracts" >> beam.FlatMap(extracts, task=task, weighted=weighted)
        | "Evaluate"
        >> tfma.ExtractEvaluateAndWriteResults(
            eval_config=config,
            extractors=[slice_key_extractor.SliceKeyExtractor(eval_config=config, materialize=False)],
            output_path=folder,
        )
    )


def extracts(table: pa.Table, task: Task, *, weighted: bool) -> Iterator[dict[str, Any]]:
    """Yield the `tfma.Extracts` of each row that can be measured."""
    found = from_table(table, task)
    rows = found.candidate
    features = _features(found)
    prediction = clipped(rows.prediction) if task == "binary_classification" else rows.prediction
    for index in range(len(rows)):
        extract = {
            "features": {name: values[index] for name, values in features.items()},
            "labels": rows.label[index : index + 1],
            "predictions": np.atleast_1d(prediction[index]),
        }
        yield {**extract, "example_weights": rows.weight[index : index + 1]} if weighted else extract


def _features(found: Predictions) -> dict[str, Sequence[np.ndarray]]:
    return {
        name: [np.array([] if value is None else [value]) for value in column.to_pylist()]
        for name, column in found.columns.items()
    }
