"""What TFMA is asked for; both engines start from the same configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from components.features import Task

METRIC_CLASSES: dict[str, dict[str, str]] = {
    "binary_classification": {
        "auc": "AUC",
        "auc_pr": "AUCPrecisionRecall",
        "accuracy": "BinaryAccuracy",
        "precision": "Precision",
        "recall": "Recall",
        "log_loss": "BinaryCrossEntropy",
        "calibration": "Calibration",
    },
    "multiclass_classification": {"accuracy": "SparseCategoricalAccuracy", "log_loss": "SparseCategoricalCrossentropy"},
    "regression": {"rmse": "RootMeanSquaredError", "mae": "MeanAbsoluteError", "mse": "MeanSquaredError"},
}
"""Task to our metric's name and TFMA's class; TFMA has no `r_squared` that works (Keras' R2Score fails in it)."""

EXAMPLE_COUNT = "example_count"
LABEL_KEY = "label"
PREDICTION_KEY = "prediction"
WEIGHT_KEY = "weight"


def eval_config(task: Task, groups: Sequence[Sequence[str]], *, weighted: bool) -> Any:
    """Return the `tfma.EvalConfig`.

    Args:
        task: decides the metrics.
        groups: columns of each group of slices; all rows are always a slice.
        weighted: whether rows have a weight.
    """
    from tensorflow_model_analysis.proto import config_pb2

    classes = {**METRIC_CLASSES[task], EXAMPLE_COUNT: "ExampleCount"}
    metrics = [
        config_pb2.MetricConfig(class_name=class_name, config=f'"name": {json.dumps(name)}')
        for name, class_name in classes.items()
    ]
    model = config_pb2.ModelSpec(
        label_key=LABEL_KEY, prediction_key=PREDICTION_KEY, example_weight_key=WEIGHT_KEY if weighted else ""
    )
    slices = [config_pb2.SlicingSpec(), *(config_pb2.SlicingSpec(feature_keys=list(group)) for group in groups)]
    return config_pb2.EvalConfig(
        model_specs=[model], metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)], slicing_specs=slices
    )
