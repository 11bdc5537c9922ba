"""The exported model: its signatures agree with each other and with the model in the training process."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest

from components.engine.examples import encode_examples
from components.training.job import Job
from components.training.run_fn import run_job
from tests.factories.trainer_artifacts import Artifacts, job_arguments, make_artifacts

ROWS = 1000
KEYS = {
    "binary_classification": {"probability"},
    "multiclass_classification": {"probabilities", "class_id", "class"},
    "regression": {"prediction"},
}
TRAINING = {"epochs": 2, "batch_size": 256, "optimizer": {"adam": {"learning_rate": 0.01}}}


@pytest.fixture(scope="module", params=list(KEYS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifacts, Path]:
    """Return artifacts of a task and the folder where a model trained on them is."""
    artifacts = make_artifacts(tmp_path_factory.mktemp(request.param), request.param, rows=5000)
    output = artifacts.root / "output"
    run_job(Job(**job_arguments(artifacts, output, {"family": "wide_and_deep", "hidden_units": [16]}, TRAINING)))
    return artifacts, output


def hard_rows(artifacts: Artifacts) -> pa.RecordBatch:
    """Return a thousand real rows; in every second one, a feature is missing or of a category never seen."""
    batch = artifacts.raw_batch("eval").slice(0, ROWS)
    assert batch.num_rows == ROWS
    columns = {name: batch.column(name).to_pylist() for name in artifacts.columns["features"]}
    unseen = {"trip_start_hour": 99, "company": "Müller & Söhne 🛷".encode(), "payment_type": b"Barter"}
    for row in range(0, ROWS, 2):
        name = list(columns)[row // 2 % len(columns)]
        columns[name][row] = unseen[name] if name in unseen and row % 4 else None
    arrays = {name: pa.array(values, batch.column(name).type) for name, values in columns.items()}
    return pa.RecordBatch.from_pydict(arrays)


def load(output: Path) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(str(output / "model" / "Format-Serving"))


def in_process(artifacts: Artifacts, output: Path, records: list[bytes]) -> np.ndarray:
    """Transform with TFT and predict with the Keras file: nothing of the export is used."""
    import tensorflow as tf
    import tensorflow_transform as tft

    graph = tft.TFTransformOutput(str(artifacts.graph))
    spec = {name: graph.raw_feature_spec()[name] for name in artifacts.columns["features"]}
    values = graph.transform_features_layer()(tf.io.parse_example(tf.constant(records), spec))
    model = keras.models.load_model(output / "model" / "model.keras")
    return np.asarray(model({each.name: values[each.name] for each in model.inputs}, training=False))


def test_all_ways_to_ask_give_the_same_answer(trained: tuple[Artifacts, Path]):
    import tensorflow as tf

    artifacts, output = trained
    rows = hard_rows(artifacts)
    records = encode_examples(rows).to_pylist()
    model = load(output)
    served = {k: v.numpy() for k, v in model.signatures["serving_default"](examples=tf.constant(records)).items()}
    requests = {}
    for name in rows.schema.names:
        values = rows.column(name)
        if pa.types.is_binary(values.type):
            requests[name] = tf.constant([value or b"" for value in values.to_pylist()])
        else:
            dtype = tf.float64 if pa.types.is_integer(values.type) else tf.float32
            requests[name] = tf.constant([np.nan if v is None else v for v in values.to_pylist()], dtype)
    raw = {k: v.numpy() for k, v in model.signatures["raw"](**requests).items()}
    assert served.keys() == raw.keys() == KEYS[artifacts.task]
    for name, values in served.items():
        np.testing.assert_array_equal(values, raw[name], err_msg=name)
    expected = in_process(artifacts, output, records)
    name = {"binary_classification": "probability", "regression": "prediction"}.get(artifacts.task, "probabilities")
    np.testing.assert_allclose(served[name], expected if name == "probabilities" else expected[:, 0], rtol=1e-6)
    assert len(np.unique(served[name].round(6), axis=0)) > 100


def test_outputs_have_the_promised_shapes_and_dtypes(trained: tuple[Artifacts, Path]):
    import tensorflow as tf

    artifacts, output = trained
    signatures = load(output).signatures
    assert set(signatures) == {"serving_default", "raw", "transform_features"}
    found = {
        name: (spec.dtype, spec.shape.rank) for name, spec in signatures["serving_default"].structured_outputs.items()
    }
    assert (
        found
        == {
            "binary_classification": {"probability": (tf.float32, 1)},
            "multiclass_classification": {
                "probabilities": (tf.float32, 2),
                "class_id": (tf.int64, 1),
                "class": (tf.string, 1),
            },
            "regression": {"prediction": (tf.float32, 1)},
        }[artifacts.task]
    )
    raw = signatures["raw"].structured_input_signature[1]
    assert set(raw) == set(artifacts.columns["features"])
    assert raw["company"].dtype == tf.string
    assert raw["trip_start_hour"].dtype == tf.float64  # an int column: NaN says "missing"
    assert all(spec.shape.as_list() == [None] for spec in raw.values())


def test_classes_have_their_names(trained: tuple[Artifacts, Path]):
    import tensorflow as tf

    artifacts, output = trained
    if artifacts.task != "multiclass_classification":
        return
    records = tf.constant(encode_examples(hard_rows(artifacts)).to_pylist())
    found = load(output).signatures["serving_default"](examples=records)
    names = {b"Cash", b"Credit Card", b"Other"}
    by_id = dict(zip(found["class_id"].numpy().tolist(), found["class"].numpy().tolist(), strict=True))
    assert set(by_id.values()) <= names
    assert by_id[0] == b"Cash"  # the most frequent class comes first
    np.testing.assert_array_equal(found["class_id"], found["probabilities"].numpy().argmax(axis=1))


def test_one_row_and_a_row_of_nothing_can_be_asked(trained: tuple[Artifacts, Path]):
    import tensorflow as tf

    artifacts, output = trained
    signatures = load(output).signatures
    empty = tf.train.Example().SerializeToString()
    for count in (1, 3):
        for values in signatures["serving_default"](examples=tf.constant([empty] * count)).values():
            assert values.shape[0] == count
    nothing = {
        name: tf.constant([""] if spec.dtype == tf.string else [np.nan], spec.dtype)
        for name, spec in signatures["raw"].structured_input_signature[1].items()
    }
    key = next(iter(KEYS[artifacts.task] & {"probability", "probabilities", "prediction"}))
    np.testing.assert_array_equal(
        signatures["raw"](**nothing)[key], signatures["serving_default"](examples=tf.constant([empty]))[key]
    )


def test_transform_features_gives_what_training_saw(trained: tuple[Artifacts, Path]):
    import tensorflow as tf

    from components.engine.examples import decode_examples, read_records

    artifacts, output = trained
    records = next(iter(read_records(artifacts.raw / "Split-eval"))).slice(0, 500)
    found = load(output).signatures["transform_features"](examples=tf.constant(records.to_pylist()))
    seen = decode_examples(next(iter(read_records(artifacts.transformed / "Split-eval"))).slice(0, 500))
    assert set(found) == set(seen.schema.names)
    assert "label" in found
    for name, values in found.items():
        np.testing.assert_allclose(
            values.numpy()[:, 0], np.array(seen.column(name).to_pylist()), rtol=1e-6, err_msg=name
        )


def test_the_sample_is_what_the_served_model_says(trained: tuple[Artifacts, Path]):
    import tensorflow as tf

    artifacts, output = trained
    sample = json.loads((output / "model" / "sample.json").read_text())
    records = [base64.b64decode(each) for each in sample["examples_b64"]]
    assert len(records) == 200
    served = load(output).signatures["serving_default"](examples=tf.constant(records))
    assert set(served) == set(sample["outputs"]) == KEYS[artifacts.task]
    for name, values in served.items():
        if values.dtype == tf.string:
            assert [each.decode() for each in values.numpy().tolist()] == sample["outputs"][name]
        else:
            np.testing.assert_allclose(values, sample["outputs"][name], rtol=1e-5, atol=1e-6)
    examples = [tf.train.Example.FromString(record).features.feature for record in records]
    for name in artifacts.columns["features"]:
        assert any(not each[name].WhichOneof("kind") for each in examples), f"{name} is missing nowhere"
    assert any("never seen" in str(each["company"].bytes_list.value) for each in examples)


def test_what_it_writes_down(trained: tuple[Artifacts, Path]):
    _, output = trained
    history = json.loads((output / "run" / "history.json").read_text())
    assert [each["epoch"] for each in history["epochs"]] == [1, 2]
    assert {"loss", "val_loss", "learning_rate", "seconds"} <= set(history["epochs"][0])
    assert history["steps_per_second"] >= 0
    assert history["parameters"] > 1000
    summary = json.loads((output / "model" / "summary.json").read_text())
    assert summary["epochs"] == 2
    assert summary["rows"]["train"] > summary["rows"]["eval"] > ROWS
    assert list((output / "run" / "tensorboard" / "train").glob("events.*"))
