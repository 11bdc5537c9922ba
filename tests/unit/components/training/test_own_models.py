"""The three ways of Keras to write a model, each from a user's file: it learns, and its file loads again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.errors import ComponentError
from components.model.build import build_model
from components.model.config import ModelConfig
from components.training.check import check_before_run
from components.training.config import TrainingConfig
from components.training.distribution import Distribution
from components.training.export import save_keras
from components.training.fit import FitResult, fit
from components.training.places import Places
from components.training.shares import Share
from tests.factories.tumours import INPUTS, splits

OWN = Path(__file__).parents[3] / "factories" / "own_models"
WAYS = ("sequential", "functional", "subclassed")


def train(folders: dict[str, str], way: str, places: Places | None = None, **training: Any) -> FitResult:
    model = ModelConfig.model_validate({"module": f"{way}.py", "parameters": {"units": 8}})
    source = (OWN / f"{way}.py").read_text()
    given = {"epochs": 6, "batch_size": 64, "optimizer": {"adam": {"learning_rate": 0.02}}}
    return fit(
        lambda: build_model(model, INPUTS, "binary_classification", 2, module_source=source),
        TrainingConfig.model_validate({**given, **training}),
        "binary_classification",
        *splits(folders),
        places,
    )


@pytest.fixture(scope="module")
def trained(folders: dict[str, str]) -> dict[str, FitResult]:
    return {way: train(folders, way) for way in WAYS}


def rows_of(folders: dict[str, str]) -> dict[str, np.ndarray]:
    columns = splits(folders)[1].columns
    assert columns is not None
    return columns.features(columns.dense, columns.ids)


@pytest.mark.parametrize("way", WAYS)
def test_a_model_of_ones_own_learns(trained: dict[str, FitResult], way: str):
    epochs = trained[way].epochs
    assert epochs[-1]["val_auc"] > 0.97
    assert epochs[-1]["loss"] < epochs[0]["loss"] / 2


def test_a_train_step_of_ones_own_is_obeyed(folders: dict[str, str], trained: dict[str, FitResult]):
    """Its metrics are in the history, and without its noise the weights are others."""
    assert all(epoch["gradient_norm"] > 0 for epoch in trained["subclassed"].epochs)
    source = (OWN / "subclassed.py").read_text()
    assert "def train_step" in source
    again, quiet = (_weights(folders, noise) for noise in (0.1, 0.0))
    for one, other in zip(trained["subclassed"].model.get_weights(), again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.allclose(again[0], quiet[0], atol=1e-3)


def _weights(folders: dict[str, str], noise: float) -> list[np.ndarray]:
    model = ModelConfig.model_validate({"module": "subclassed.py", "parameters": {"units": 8, "noise": noise}})
    source = (OWN / "subclassed.py").read_text()
    config = {"epochs": 6, "batch_size": 64, "optimizer": {"adam": {"learning_rate": 0.02}}}
    result = fit(
        lambda: build_model(model, INPUTS, "binary_classification", 2, module_source=source),
        TrainingConfig.model_validate(config),
        "binary_classification",
        *splits(folders),
    )
    return result.model.get_weights()


PROGRAM = """
import sys
import numpy as np, keras
import sequential, functional, subclassed
rows = dict(np.load(sys.argv[1] + "/rows.npz"))
for way in ("sequential", "functional", "subclassed"):
    model = keras.saving.load_model(f"{sys.argv[1]}/{way}.keras")
    np.save(f"{sys.argv[1]}/{way}.npy", model.predict(rows, verbose=0))
"""


def test_the_saved_model_loads_where_only_keras_and_the_file_are(
    folders: dict[str, str], trained: dict[str, FitResult], tmp_path: Path
):
    rows = rows_of(folders)
    np.savez(tmp_path / "rows.npz", **rows)
    for way in WAYS:
        save_keras(trained[way].model, tmp_path / f"{way}.keras")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.replace("import numpy", f"sys.path.insert(0, {str(OWN)!r})\nimport numpy", 1))
    subprocess.run([sys.executable, str(program), str(tmp_path)], cwd=tmp_path, check=True, timeout=240)
    for way in WAYS:
        expected = trained[way].model.predict(rows, verbose=0)
        np.testing.assert_allclose(np.load(tmp_path / f"{way}.npy"), expected, atol=1e-6)


def _check(way: str, source: str, strategy: str = "auto") -> list[Any]:
    config = {
        "training": TrainingConfig.model_validate({"strategy": strategy}).model_dump(mode="json"),
        "model": {"module": f"{way}.py", "builder": "build", "parameters": {}},
        "module_source": source,
        "task": "binary_classification",
    }
    return check_before_run(config, None, INPUTS)


@pytest.mark.parametrize("way", WAYS)
def test_it_passes_the_check_before_the_run(way: str):
    assert _check(way, (OWN / f"{way}.py").read_text()) == []


@pytest.mark.parametrize(
    ("way", "old", "new", "message"),
    [
        ("functional", "@keras.saving.register_keras_serializable", "#", r"functional.py:7: class Scaled is not regi"),
        ("subclassed", "@keras.saving.register_keras_serializable", "#", r"subclassed.py:8: class Noisy is not regis"),
        ("subclassed", 'return {**super().get_config(), "numbers"', 'return {"numbrs"', "loaded again .*all items"),
        ("functional", 'units, activation="relu"', "units, activation=lambda x: x * 2", "cannot be loaded again after"),
    ],
    ids=["layer", "model", "get_config", "function"],
)
def test_a_model_that_would_not_load_again_is_refused_before_the_run(way: str, old: str, new: str, message: str):
    source = (OWN / f"{way}.py").read_text()
    assert old in source
    (problem,) = _check(way, source.replace(old, new))
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(str(problem))
    assert "register_keras_serializable" in problem.remedy


def test_a_model_that_changes_by_saving_is_refused():
    """Keras itself would put the default of `units` back without a word."""
    source = (OWN / "functional.py").read_text()
    source = source.replace("    def build(self,", "    power = 1\n\n    def build(self,")
    source = source.replace("values * self.factor", "values * self.factor * self.power")
    source = source.replace("joined = ", "scale = Scaled()\n    scale.power = 3\n    joined = ")
    (problem,) = _check("functional", source.replace("[Scaled()(", "[scale("))
    assert "predicts something else after it is saved and loaded again" in str(problem)


@pytest.mark.parametrize("strategy", ["mirrored", "multi_worker"])
def test_a_train_step_of_ones_own_is_refused_with_several_copies(strategy: str):
    (problem,) = _check("subclassed", (OWN / "subclassed.py").read_text(), strategy)
    assert problem.where == "training.strategy"
    assert "own train_step cannot be obeyed by several copies" in str(problem)


def test_a_train_step_of_ones_own_is_refused_when_there_turn_out_to_be_several_copies(folders: dict[str, str]):
    with pytest.raises(ComponentError, match="own train_step cannot be obeyed") as caught:
        train(folders, "subclassed", Places(distribution=Distribution(replicas=2, share=Share(0, 2, 2))))
    assert "training.strategy to none" in (caught.value.remedy or "")
