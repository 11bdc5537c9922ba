"""Two copies of the model learn the same as one; two logical CPUs stand in for two GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
PROGRAM = """
import json, sys
import numpy as np
import pyarrow as pa
import tensorflow as tf

from components.engine.examples import ExampleWriter, encode_examples
from components.features import LABEL, ModelInput
from components.model.families.mlp import Mlp
from components.training.config import TrainingConfig
from components.training.fit import fit
from components.training.places import Places
from components.training.input_fn import open_split
from components.training.own_loop import OwnStep

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
strategy, cache, folder = sys.argv[1:4]
options = json.loads(sys.argv[4])
random = np.random.default_rng(0)
x = random.normal(size=1000).astype("float32")
inputs = (ModelInput("x", "float32"), ModelInput("id", "int64", cardinality=5))[: options.pop("inputs", 2)]
with ExampleWriter(folder) as writer:
    columns = {"x": x, "id": random.integers(0, 5, 1000), LABEL: (x > 0.3).astype("int64")}
    writer.write(encode_examples(pa.RecordBatch.from_pydict(columns)))
given = {"epochs": 5, "batch_size": 128, "strategy": strategy, "optimizer": {"adam": {"learning_rate": 0.05}}}
config = TrainingConfig.model_validate(given | options)
split = open_split(folder, inputs, "binary_classification", 2, cache=cache)
build = lambda: Mlp(hidden_units=(8,)).build(inputs, "binary_classification", 2)
source = config.loop and open("tests/factories/own_models/" + config.loop.module).read()
places = Places(step=OwnStep.of(config, {"loop_source": source}, None))
result = fit(build, config, "binary_classification", split, split, places)
weights = [weight.ravel().tolist() for weight in result.model.get_weights()]
found = {"weights": weights, "epochs": result.epochs, "notes": result.notes, "settings": result.settings}
print("RESULT", json.dumps(found))
"""


def train(strategy: str, cache: str, folder: Path, **options: Any) -> dict:
    command = [sys.executable, "-c", PROGRAM, strategy, cache, str(folder), json.dumps(options)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=240)
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stderr[-3000:]
    return json.loads(results[0].removeprefix("RESULT "))


@pytest.mark.parametrize("cache", ["always", "never"])
def test_two_devices_learn_what_one_learns(tmp_path: Path, cache: str):
    one = train("none", cache, tmp_path / "one" / "Split-train")
    two = train("mirrored", cache, tmp_path / "two" / "Split-train")
    assert two["notes"] == []
    assert [each["epoch"] for each in two["epochs"]] == [1, 2, 3, 4, 5]
    assert two["epochs"][-1]["val_auc"] > 0.99
    for left, right in zip(one["weights"], two["weights"], strict=True):
        assert right == pytest.approx(left, abs=2e-3)
    assert two["epochs"][-1]["val_loss"] == pytest.approx(one["epochs"][-1]["val_loss"], rel=1e-2)


def test_the_batch_of_each_copy_and_clipping_are_those_of_the_whole_batch(tmp_path: Path):
    """Without ids: Keras itself takes the norm of an embedding's gradient before rows of one id are added up."""
    limit = {"gradient_clipping": {"global_norm": 0.02}, "inputs": 1}
    one = train("none", "always", tmp_path / "one", **limit, optimizer=SGD)
    half = {"sgd": {"learning_rate": 0.5}}
    options = {"per_replica_batch_size": 64, "scale_learning_rate": "linear", "optimizer": half}
    two = train("mirrored", "always", tmp_path / "two", **limit, **options)
    assert two["settings"]["batch_size"] == 128
    assert two["settings"]["replicas"] == two["settings"]["learning_rate_scale"] == 2
    assert two["epochs"][-1]["learning_rate"] == pytest.approx(1.0)
    for left, right in zip(one["weights"], two["weights"], strict=True):
        assert right == pytest.approx(left, abs=2e-3)


def test_a_training_step_of_ones_own_learns_on_two_devices_what_sluice_learns_on_one(tmp_path: Path):
    loop = {"loop": {"module": "loop.py"}}
    one = train("none", "always", tmp_path / "one")
    two = train("mirrored", "always", tmp_path / "two", **loop)
    for left, right in zip(one["weights"], two["weights"], strict=True):
        assert right == pytest.approx(left, abs=2e-3)
    assert two["epochs"][-1]["val_loss"] == pytest.approx(one["epochs"][-1]["val_loss"], rel=1e-2)
    assert all(epoch["gradient_norm"] > 0 for epoch in two["epochs"])


SGD = {"sgd": {"learning_rate": 1.0}}


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_two_devices_learn_in_16_bits(tmp_path: Path, precision: str):
    found = train("mirrored", "always", tmp_path, precision=precision, gradient_clipping={"value": 0.5})
    assert found["epochs"][-1]["val_auc"] > 0.99
    assert found["settings"]["precision"] == precision
