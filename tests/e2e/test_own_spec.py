"""A user's own spec, data and model, anywhere on disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sklearn.datasets

from tests.factories.sluice_command import Sluice, actions, output

MODEL = """
import keras


def build(inputs, task, num_classes, units=4):
    tensors = {spec.name: keras.Input((spec.width,), name=spec.name, dtype=spec.dtype) for spec in inputs}
    hidden = keras.layers.Concatenate()([tensors[spec.name] for spec in inputs if not spec.is_ids])
    hidden = keras.layers.Dense(units, activation="relu", name="my_layer")(hidden)
    return keras.Model(tensors, keras.layers.Dense(1, activation="sigmoid")(hidden))
"""

SPEC = """
name: tumours
task: binary_classification
data:
  path: cells.csv
  label: {benign: target == 1}
  features: {radius: numeric, texture: numeric, smoothness: numeric}
model: {module: my_model.py, builder: build, parameters: {units: 6}}
training: {epochs: 30, batch_size: 32, optimizer: {adam: {learning_rate: 0.01}}}
evaluation: {gate: [auc >= 0.9], bootstrap_samples: 0}
"""


@pytest.fixture
def sluice(tmp_path) -> Sluice:
    return Sluice(tmp_path / "root", tmp_path)


def write_cells(path) -> None:
    """Write the breast cancer data of scikit-learn as CSV."""
    cells = sklearn.datasets.load_breast_cancer()
    table = np.column_stack([cells.data[:, [0, 1, 4]], cells.target])
    np.savetxt(path, table, delimiter=",", header="radius,texture,smoothness,target", comments="", fmt="%g")


def test_a_model_of_the_users_own_is_trained_gated_and_served(sluice, tmp_path):
    home = tmp_path / "mine"
    home.mkdir()
    write_cells(home / "cells.csv")
    (home / "my_model.py").write_text(MODEL)
    (home / "pipeline.yaml").write_text(SPEC)
    sluice("run", str(home))
    history = json.loads((output(sluice.latest(), "Trainer", "model_run") / "history.json").read_text())
    assert history["parameters"] == (3 * 6 + 6) + (6 + 1)

    (home / "my_model.py").write_text(MODEL.replace("relu", "tanh"))
    assert "module_source" in sluice("plan", str(home)).stdout

    (home / "my_model.py").write_text(MODEL.replace("import keras", "import kerass"))
    broken = sluice("run", str(home), check=2)
    assert "kerass" in broken.stderr
    assert "done" not in actions(sluice.latest()).values()

    (home / "my_model.py").write_text(MODEL.replace("return keras.Model", "return keras.Modell"))
    broken = sluice("run", str(home), check=2)
    assert "my_model.py:9" in broken.stderr
    assert "Modell" in broken.stderr
    assert "done" not in actions(sluice.latest()).values()

    raises = MODEL.replace("    return keras.Model", "    raise ValueError('too narrow')\n    return keras.Model")
    (home / "my_model.py").write_text(raises)
    failed = sluice("run", str(home), check=4).stdout
    assert "my_model.py:9" in failed
    assert "too narrow" in failed


def test_init_writes_a_spec_that_runs_as_it_is(sluice, tmp_path):
    write_cells(tmp_path / "cells.csv")
    sluice("init", str(tmp_path / "started"), "--from", str(tmp_path / "cells.csv"), "--label", "target")
    sluice("run", str(tmp_path / "started"), "training.epochs=5")
    run = sluice.latest()
    assert run["status"] == "pushed"
    assert set(run["spec"]["data"]["features"]) == {"radius", "texture", "smoothness"}


def test_bad_data_are_refused_before_the_first_component(sluice, tmp_path):
    home = tmp_path / "mine"
    home.mkdir()
    write_cells(home / "cells.csv")
    (home / "pipeline.yaml").write_text(
        SPEC.replace("{module: my_model.py, builder: build, parameters: {units: 6}}", "{family: mlp}").replace(
            "texture: numeric", "textur: numeric"
        )
    )
    refused = sluice("run", str(home), check=2)
    assert "textur" in refused.stderr
    assert "texture" in refused.stderr
    assert not (sluice.root / "artifacts").exists()
