"""Small SavedModels with the three signatures every Sluice model has, and a server process for them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import tensorflow as tf

FEATURES = ("company", "fare", "trip_miles")
EXAMPLE_SPEC = {
    "company": tf.io.VarLenFeature(tf.string),
    "fare": tf.io.VarLenFeature(tf.float32),
    "trip_miles": tf.io.VarLenFeature(tf.float32),
}


class Scorer(tf.Module):
    """`probability = bias + trip_miles / 100 + fare / 1000`, plus 0.5 where the company is missing.

    The bias differs by version, so that an answer tells which version gave it. Missing numbers count as zero.
    """

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.bias = tf.Variable(bias)
        self.known = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["Flash", "Dispatch"], tf.constant([0, 1], tf.int64)), -1
        )

    def score(self, company: tf.Tensor, fare: tf.Tensor, trip_miles: tf.Tensor) -> dict[str, tf.Tensor]:
        number = lambda value: tf.where(tf.math.is_nan(value), 0.0, value)  # noqa: E731
        missing = tf.cast(tf.equal(company, ""), tf.float32)
        return {"probability": self.bias + number(trip_miles) / 100 + number(fare) / 1000 + missing / 2}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, EXAMPLE_SPEC)
        dense = {name: tf.sparse.to_dense(value)[:, :1] for name, value in parsed.items()}
        padded = {name: tf.pad(value, [[0, 0], [0, 1]])[:, 0] for name, value in dense.items() if name != "company"}
        company = tf.concat([dense["company"], tf.fill([tf.shape(examples)[0], 1], "")], axis=1)[:, 0]
        return self.score(company, padded["fare"], padded["trip_miles"])

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string, name="company"),
            tf.TensorSpec([None], tf.float32, name="fare"),
            tf.TensorSpec([None], tf.float32, name="trip_miles"),
        ]
    )
    def serve_raw(self, company: tf.Tensor, fare: tf.Tensor, trip_miles: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.score(company, fare, trip_miles)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, EXAMPLE_SPEC)
        company = tf.sparse.to_dense(parsed["company"])
        return {"company": self.known.lookup(company), "label": tf.zeros([tf.shape(examples)[0], 1], tf.int64)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.int64, name="ids"),
            tf.TensorSpec([None], tf.bool, name="flag"),
        ]
    )
    def serve_typed(self, ids: tf.Tensor, flag: tf.Tensor) -> dict[str, tf.Tensor]:
        digits = tf.strings.as_string(ids[:, 0])
        undefined = tf.where(flag, tf.constant(float("nan")), 0.5)
        return {"total": tf.reduce_sum(ids, axis=1), "name": digits, "raw_bytes": digits, "undefined": undefined}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="steps")])
    def serve_slowly(self, steps: tf.Tensor) -> dict[str, tf.Tensor]:
        count = tf.constant(0, tf.int64)
        while count < tf.reduce_max(steps):
            count += 1
        return {"bias": tf.zeros(tf.shape(steps)) + self.bias + 0 * tf.cast(count, tf.float32)}


def write_model(folder: Path, bias: float) -> Path:
    """Write a SavedModel into a folder and return the folder."""
    module = Scorer(bias)
    signatures = {
        "serving_default": module.serve_examples,
        "raw": module.serve_raw,
        "transform_features": module.transform_features,
        "typed": module.serve_typed,
        "slow": module.serve_slowly,
    }
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def publish_model(base_path: Path, version: int, bias: float) -> Path:
    """Write a version so that it appears all at once."""
    write_model(base_path / f".making-{version}", bias)
    return (base_path / f".making-{version}").rename(base_path / str(version))


def example(**values: Any) -> bytes:
    """Return a serialized tf.Example of scalars."""
    features = {}
    for name, value in values.items():
        if isinstance(value, str):
            features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        else:
            features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@dataclass
class Server:
    """A running server process."""

    process: subprocess.Popen[str]
    url: str
    grpc_address: str
    log: list[str] = field(default_factory=list)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30)

    def predict(self, body: Any, path: str = "/v1/models/taxi:predict") -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(f"{self.url}{path}", content=content, timeout=30)

    def wait_for(self, version: int, state: str = "AVAILABLE", seconds: float = 60) -> dict[str, Any]:
        """Return the status of a version once it has reached a state."""
        found: Any = None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.get("/v1/models/taxi").json()
            for status in found.get("model_version_status", []):
                if status["version"] == str(version) and status["state"] == state:
                    return status
            time.sleep(0.05)
        raise AssertionError(f"version {version} did not become {state}: {found}\n{''.join(self.log)}")


@contextlib.contextmanager
def running_server(base_path: Path, *options: str) -> Iterator[Server]:
    """Start `python -m components.serving.server` on free ports, and stop it afterwards."""
    command = [sys.executable, "-m", "components.serving.server", "--name", "taxi", "--base-path", str(base_path)]
    command += ["--rest-port", "0", "--grpc-port", "0", "--poll-seconds", "0.1", *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=base_path
    )
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(process.stderr), daemon=True)
    reader.start()
    try:
        first = process.stdout.readline()
        found = re.search(r"REST (http://\S+?)/v1/\S+ gRPC (\S+)", first)
        if not found:
            process.wait(30)
            reader.join(5)
            raise AssertionError(f"the server did not start: {first}{''.join(log)}")
        yield Server(process, found[1], found[2], log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
