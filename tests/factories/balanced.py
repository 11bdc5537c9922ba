"""The Balancer's executor on artifacts that a test has made, and what a model trained on its output says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from components.engine.examples import read_records
from tests.factories.trainer_artifacts import Artifacts, job_arguments

MODEL = {"family": "mlp", "hidden_units": [16]}
TRAINING = {
    "epochs": 12,
    "batch_size": 256,
    "optimizer": {"adam": {"learning_rate": 0.01}},
    "strategy": "none",
    "tensorboard": False,
}


def run_balancer(artifacts: Artifacts, output: Path, balancing: Any) -> dict[str, Any]:
    """Run the executor as TFX does and return its summary."""
    from tfx.types import standard_artifacts

    from components.balancing.config import BalancingConfig
    from components.balancing.executor import Executor
    from tests.factories.examples_artifacts import artifact

    output.mkdir(parents=True)
    written = BalancingConfig.model_validate(balancing).model_dump(mode="json")
    balanced = artifact(standard_artifacts.Examples, output)
    Executor().Do(
        {
            "transformed_examples": [
                artifact(standard_artifacts.Examples, artifacts.transformed, ["train", "eval"]),
            ],
            "transform_graph": [artifact(standard_artifacts.TransformGraph, artifacts.graph)],
        },
        {"examples": [balanced]},
        {"config": json.dumps({"balancing": written}), "runtime": "{}"},
    )
    assert balanced.split_names == '["train", "eval"]' or json.loads(balanced.split_names) == ["train", "eval"]
    return dict(json.loads((output / "summary.json").read_text()))


def train(artifacts: Artifacts, output: Path, examples: Path | None = None, **training: Any) -> dict[str, Any]:
    """Train as the Trainer does, on the Balancer's output when it is given; return `history.json`."""
    from components.balancing.class_counts import ClassCounts
    from components.training.job import Job
    from components.training.run_fn import run_job

    given = job_arguments(artifacts, output, MODEL, {**TRAINING, **training})
    if examples is not None:
        given |= {"train_folder": str(examples / "Split-train"), "class_counts": ClassCounts.read(examples)}
    run_job(Job(**given))
    return dict(json.loads((output / "run" / "history.json").read_text()))


def served(artifacts: Artifacts, output: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return what the exported model says to the raw rows of the eval split, and their labels."""
    import tensorflow as tf

    records = tf.constant([each for batch in read_records(artifacts.raw / "Split-eval") for each in batch.to_pylist()])
    signatures = tf.saved_model.load(str(output / "model" / "Format-Serving")).signatures
    found = signatures["serving_default"](examples=records)
    key = "probability" if artifacts.task == "binary_classification" else "probabilities"
    labels = signatures["transform_features"](examples=records)["label"].numpy()
    return found[key].numpy(), labels.ravel()


def thinned_cancer(root: Path, columns: tuple[int, ...] = (1, 4, 8, 9), part: int = 4) -> Artifacts:
    """Return artifacts of scikit-learn's breast cancer data with every `part`-th malignant tumour; 1 is malignant.

    Args:
        root: folder to write.
        columns: of the data; those by default tell little.
        part: how many malignant ones there are for each that stays.
    """
    import pyarrow as pa
    from sklearn.datasets import load_breast_cancer

    from tests.factories.transforms import config_of, run_in_process

    data = load_breast_cancer()
    malignant = 1 - data.target
    keep = np.sort(np.concatenate([np.flatnonzero(malignant == 0), np.flatnonzero(malignant == 1)[::part]]))
    keep = np.random.default_rng(0).permutation(keep)
    table = {f"x{at}": data.data[keep, at].astype(np.float32) for at in columns}
    batch = pa.record_batch({**table, "target": malignant[keep]})
    half = len(keep) // 2
    features = dict.fromkeys(table, "numeric")
    chains = {name: [{"fill_missing": "median"}, "z_score"] for name in table}
    config = config_of(features, chains, "binary_classification")
    made = run_in_process(root, config, {"train": batch.slice(0, half), "eval": batch.slice(half)})
    return Artifacts(
        root,
        root / "raw",
        root / "transformed",
        made.graph,
        root / "schema" / "schema.pbtxt",
        config["columns"],
        "binary_classification",
    )
