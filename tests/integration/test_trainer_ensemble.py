"""An ensemble on real taxi data: exported as one model that answers what its members answer in the mean."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from components.ensemble.config import EnsembleConfig
from components.ensemble.run_fn import run_ensemble
from components.training.columns import load_columns
from components.training.job import Job
from components.transform.outputs import model_inputs
from tests.factories.trainer_artifacts import job_arguments, make_artifacts

MODEL = {"family": "mlp", "hidden_units": [16]}
TRAINING = {"epochs": 2, "batch_size": 128, "tensorboard": False}
TASK = "multiclass_classification"


def test_voting_is_exported_as_one_model_with_the_signatures_of_one(tmp_path: Path):
    artifacts = make_artifacts(tmp_path / "taxi", TASK, rows=1500)
    arguments = job_arguments(artifacts, tmp_path / "out", MODEL, TRAINING)
    voting = EnsembleConfig.model_validate({"voting": {"members": [{"family": "linear"}]}})
    arguments["config"]["ensemble"] = voting.model_dump(mode="json")
    arguments["runtime"] |= {"root": str(tmp_path), "trainer_key": "abc"}
    run_ensemble(Job(**arguments))

    columns = load_columns(
        str(artifacts.transformed / "Split-eval"), model_inputs(artifacts.graph), TASK, weighted=False
    )
    inputs = columns.features(columns.dense, columns.ids)
    model = keras.models.load_model(Path(arguments["model_folder"]) / "model.keras")
    members = [np.asarray(model.get_layer(f"member_{number}")(inputs, training=False)) for number in (1, 2)]
    assert np.abs(members[0] - members[1]).max() > 0.01
    records = [record for part in (artifacts.raw / "Split-eval").iterdir() for record in _records(part)]
    signature = tf.saved_model.load(str(arguments["serving_folder"])).signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    answer = signature(**{name: tf.constant(records)})
    served = next(
        np.asarray(each) for each in answer.values() if each.shape == members[0].shape and each.dtype == tf.float32
    )
    np.testing.assert_allclose(served, np.mean(members, axis=0), atol=1e-5)

    history = json.loads((Path(arguments["run_folder"]) / "history.json").read_text())
    summary = json.loads((Path(arguments["model_folder"]) / "summary.json").read_text())
    accuracy = (served.argmax(axis=1) == columns.label[:, 0]).mean()
    assert summary["metrics"]["val_accuracy"] == history["ensemble"]["metrics"]["val_accuracy"]
    np.testing.assert_allclose(summary["metrics"]["val_accuracy"], accuracy, atol=1e-6)
    assert not (tmp_path / "checkpoints" / "abc").exists()


def _records(file: Path) -> list[bytes]:
    return [each.numpy() for each in tf.data.TFRecordDataset(str(file), compression_type="GZIP")]
