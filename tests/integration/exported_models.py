"""Small real models for the Evaluator's tests: trained by Keras, exported by hand with the three signatures."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from components.engine.examples import ExampleWriter, encode_examples, split_directory
from components.features import PREDICTION_KEYS

COMPANIES = ("Flash Cab", "Blue Ribbon", "Taxi Ünion")


def trips(rows: int, seed: int = 0, *, classes: int = 2) -> pa.RecordBatch:
    """Return taxi-like rows: two features, columns to slice on, labels of three kinds, a weight."""
    random = np.random.default_rng(seed)
    miles, fare = random.normal(size=(2, rows)).astype(np.float32)
    signal = 1.5 * miles - fare
    companies = np.array([name.encode() for name in COMPANIES], object)
    company = random.choice(companies, rows, p=[0.6, 0.3, 0.1])
    return pa.RecordBatch.from_pydict(
        {
            "miles": pa.array(miles),
            "fare": pa.array(fare),
            "hour": pa.array(random.integers(0, 6, rows), pa.int64(), mask=random.random(rows) < 0.05),
            "company": pa.array(company, pa.binary(), mask=random.random(rows) < 0.05),
            "tipped": pa.array((signal + random.logistic(size=rows) > 0).astype(np.int64)),
            "kind": pa.array(np.digitize(signal + random.normal(size=rows), [-1, 1]).astype(np.int64) % classes),
            "seconds": pa.array((600 + 100 * signal + 50 * random.normal(size=rows)).astype(np.float32)),
            "importance": pa.array(random.uniform(0.5, 2, rows).astype(np.float32)),
        }
    )


def write_examples(folder: Path, batch: pa.RecordBatch) -> None:
    """Write the rows as the eval split of an Examples artifact."""
    with ExampleWriter(split_directory(folder, "eval")) as writer:
        writer.write(encode_examples(batch))


def train(task: str, batch: pa.RecordBatch, label: str, *, shuffle_labels: bool = False, epochs: int = 8):
    """Train a small Keras model; with shuffled labels it learns nothing."""
    import keras

    keras.utils.set_random_seed(0)
    features = np.stack([batch["miles"].to_numpy(), batch["fare"].to_numpy()], axis=1)
    labels = batch[label].to_numpy()
    if shuffle_labels:
        labels = np.random.default_rng(1).permutation(labels)
    units, activation, loss = {
        "binary_classification": (1, "sigmoid", "binary_crossentropy"),
        "multiclass_classification": (3, "softmax", "sparse_categorical_crossentropy"),
        "regression": (1, None, "mse"),
    }[task]
    if task == "regression":
        labels = (labels - labels.mean()) / labels.std()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(units, activation)])
    model.compile(keras.optimizers.Adam(0.05), loss)
    model.fit(features, labels, epochs=epochs, batch_size=256, verbose=0)
    return model


def export(model, task: str, folder: Path, *, label: str, weight: str | None = None, scale: float = 1.0) -> None:
    """Write a Model artifact: SavedModel with the three signatures, and sample.json with what it answers now.

    A regression's answer is multiplied with `scale`, then 600 is added.
    """
    import tensorflow as tf

    label_type = tf.float32 if task == "regression" else tf.int64
    spec = {"miles": tf.io.FixedLenFeature([], tf.float32), "fare": tf.io.FixedLenFeature([], tf.float32)}
    extra = {label: tf.io.FixedLenFeature([], label_type)}
    extra |= {weight: tf.io.FixedLenFeature([], tf.float32)} if weight else {}

    class Exported(tf.Module):
        def __init__(self):
            self.model = model
            self.served = tf.Variable(0, dtype=tf.int64)

        def answer(self, miles, fare):
            found = self.model(tf.stack([miles, fare], axis=1), training=False)
            if task == "regression":
                return {"prediction": found[:, 0] * scale + 600.0}
            return {PREDICTION_KEYS[task]: found if task == "multiclass_classification" else found[:, 0]}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def serve(self, examples):
            return self.answer(**tf.io.parse_example(examples, spec))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, n) for n in ("miles", "fare")])
        def raw(self, miles, fare):
            return self.answer(miles, fare)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def transform(self, examples):
            parsed = tf.io.parse_example(examples, {**spec, **extra})
            found = {name: parsed[name][:, None] for name in spec} | {"label": parsed[label][:, None]}
            return {**found, "weight": parsed[weight][:, None]} if weight else found

    exported = Exported()
    signatures = {"serving_default": exported.serve, "raw": exported.raw, "transform_features": exported.transform}
    tf.saved_model.save(exported, str(folder / "Format-Serving"), signatures)
    examples = encode_examples(trips(50, seed=99)).to_pylist()
    outputs = {name: value.numpy().tolist() for name, value in exported.serve(tf.constant(examples)).items()}
    sample = {"examples_b64": [base64.b64encode(example).decode() for example in examples], "outputs": outputs}
    (folder / "sample.json").write_text(json.dumps(sample))
