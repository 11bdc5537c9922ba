"""What every model family keeps: found in its folder, one law per test."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from ruamel.yaml import YAML
from sklearn import datasets

from components import catalog
from components.features import ModelInput, Task
from components.model.config import FAMILIES, ModelConfig
from components.model.family import ModelFamily
from components.training import objective

TASKS: tuple[tuple[Task, int], ...] = (
    ("binary_classification", 2),
    ("multiclass_classification", 3),
    ("regression", 1),
)
INPUTS = (
    ModelInput("fare", "float32"),
    ModelInput("company_one_hot", "float32", (4,)),
    ModelInput("hour", "int64", cardinality=24),
    ModelInput("day", "int64", cardinality=7),
)

PICTURES = (ModelInput("picture", "float32", (9, 6, 3)), ModelInput("hour", "int64", cardinality=24))

families = pytest.mark.parametrize("name", catalog.names(FAMILIES))
tasks = pytest.mark.parametrize(("task", "classes"), TASKS)


def family(name: str, **parameters: object) -> ModelFamily:
    return catalog.load(FAMILIES, name, ModelFamily).model_validate(parameters)


def rows(inputs: tuple[ModelInput, ...], count: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        each.name: random.integers(0, each.cardinality, (count, each.width))
        if each.cardinality
        else random.normal(size=(count, *each.shape)).astype("float32")
        for each in inputs
    }


@families
def test_its_folder_says_what_it_is(name: str):
    plugin = catalog.load(FAMILIES, name, ModelFamily)
    assert "Args:" in (plugin.__doc__ or "")
    assert "Use it" in (plugin.__doc__ or "")


@families
def test_it_survives_yaml(name: str, tmp_path: Path):
    config = ModelConfig.model_validate({"family": name, "hidden_units": [8, 4], "dropout": 0.25})
    YAML().dump(config.model_dump(mode="json"), tmp_path / "model.yaml")
    again = ModelConfig.model_validate(YAML(typ="safe").load(tmp_path / "model.yaml"))
    assert again == config
    assert again.family is not None
    assert again.family.model_dump(mode="json")[name]["dropout"] == 0.25


@families
def test_it_refuses_unknown_and_impossible_parameters(name: str):
    for wrong in ({"hiden_units": [8]}, {"dropout": 1.0}, {"hidden_units": [0]}, {"activation": "swoosh"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            family(name, **wrong)


@families
@tasks
@pytest.mark.parametrize("count", [1, 5])
def test_its_output_has_the_declared_shape_and_range(name: str, task: Task, classes: int, count: int):
    model = family(name).build(INPUTS, task, classes)
    output = np.asarray(model(rows(INPUTS, count), training=False))
    assert output.shape == (count, classes if task == "multiclass_classification" else 1)
    assert output.dtype == np.float32
    if task == "binary_classification":
        assert ((output > 0) & (output < 1)).all()
    if task == "multiclass_classification":
        np.testing.assert_allclose(output.sum(axis=1), 1, rtol=1e-5)


@families
def test_its_inputs_are_named_like_the_features_and_have_their_dtypes(name: str):
    model = family(name).build(INPUTS, "regression", 1)
    received = {tensor.name: (tensor.dtype, tensor.shape) for tensor in model.inputs}
    assert received == {each.name: (each.dtype, (None, each.width)) for each in INPUTS}


@families
@pytest.mark.parametrize("inputs", [INPUTS[:1], INPUTS[2:3], INPUTS[:2], INPUTS[2:]], ids=["1d", "1i", "2d", "2i"])
def test_it_takes_any_mix_of_inputs(name: str, inputs: tuple[ModelInput, ...]):
    model = family(name).build(inputs, "binary_classification", 2)
    assert model(rows(inputs, 3), training=False).shape == (3, 1)


@families
@tasks
@pytest.mark.parametrize("inputs", [PICTURES, PICTURES[:1]], ids=["and_ids", "alone"])
def test_it_takes_images(name: str, task: Task, classes: int, inputs: tuple[ModelInput, ...]):
    model = family(name).build(inputs, task, classes)
    assert {tensor.name: tensor.shape for tensor in model.inputs}["picture"] == (None, 9, 6, 3)
    output = np.asarray(model(rows(inputs, 5), training=False))
    assert output.shape == (5, classes if task == "multiclass_classification" else 1)
    assert len(np.unique(output, axis=0)) == 5


@families
def test_a_seed_decides_its_weights(name: str):
    outputs = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        outputs.append(np.asarray(family(name).build(INPUTS, "regression", 1)(rows(INPUTS, 4), training=False)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])


@families
def test_dropout_acts_in_training_only(name: str):
    model = family(name, dropout=0.5, hidden_units=[64, 64]).build(INPUTS, "regression", 1)
    data = rows(INPUTS, 8)
    np.testing.assert_array_equal(model(data, training=False), model(data, training=False))
    assert not np.array_equal(model(data, training=True), model(data, training=True))


@families
@tasks
def test_it_saves_and_loads_as_keras(name: str, task: Task, classes: int, tmp_path: Path):
    model = family(name, batch_normalization=True).build(INPUTS, task, classes)
    model.save(tmp_path / "model.keras")
    data = rows(INPUTS, 6)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model(data, training=False), loaded(data, training=False))


def _learned(model: keras.Model, task: Task, x: dict[str, np.ndarray], y: np.ndarray, epochs: int) -> dict[str, float]:
    """Fit on three quarters, return the metrics on the rest."""
    model.compile("adam", objective.loss(task), metrics=objective.metrics(task), steps_per_execution=10)
    cut = len(y) * 3 // 4
    model.optimizer.learning_rate = 0.01
    model.fit({k: v[:cut] for k, v in x.items()}, y[:cut], batch_size=64, epochs=epochs, verbose=0)
    return model.evaluate({k: v[cut:] for k, v in x.items()}, y[cut:], verbose=0, return_dict=True)


def _scaled(values: np.ndarray) -> np.ndarray:
    return ((values - values.mean(0)) / (values.std(0) + 1e-6)).astype("float32")


@families
def test_it_learns_to_tell_tumours_apart(name: str):
    keras.utils.set_random_seed(0)
    data, target = datasets.load_breast_cancer(return_X_y=True)
    inputs = (ModelInput("measurements", "float32", data.shape[1:]),)
    model = family(name).build(inputs, "binary_classification", 2)
    metrics = _learned(model, "binary_classification", {"measurements": _scaled(data)}, target[:, None], epochs=10)
    assert metrics["auc"] > 0.97
    assert metrics["accuracy"] > 0.92  # always saying "benign": 0.63


@families
def test_it_learns_to_read_digits(name: str):
    keras.utils.set_random_seed(0)
    data, target = datasets.load_digits(return_X_y=True)
    inputs = (ModelInput("pixels", "float32", (64,)),)
    model = family(name).build(inputs, "multiclass_classification", 10)
    metrics = _learned(model, "multiclass_classification", {"pixels": _scaled(data)}, target[:, None], epochs=10)
    assert metrics["accuracy"] > 0.9  # guessing: 0.1


@families
def test_it_learns_to_read_digits_from_their_images(name: str):
    keras.utils.set_random_seed(0)
    data, target = datasets.load_digits(return_X_y=True)
    pixels = (data.reshape(-1, 8, 8, 1) / 16).astype("float32")
    model = family(name).build((ModelInput("pixels", "float32", (8, 8, 1)),), "multiclass_classification", 10)
    metrics = _learned(model, "multiclass_classification", {"pixels": pixels}, target[:, None], epochs=10)
    assert metrics["accuracy"] > 0.88  # guessing: 0.1


@families
def test_it_learns_the_course_of_diabetes(name: str):
    keras.utils.set_random_seed(0)
    data, target = datasets.load_diabetes(return_X_y=True)
    bins = np.digitize(data[:, 2], np.quantile(data[:, 2], np.linspace(0, 1, 11)[1:-1]))
    inputs = (ModelInput("measurements", "float32", (10,)), ModelInput("bmi", "int64", cardinality=10))
    y = _scaled(target)[:, None]
    x = {"measurements": _scaled(data), "bmi": bins[:, None].astype("int64")}
    model = family(name, hidden_units=[16]).build(inputs, "regression", 1)
    metrics = _learned(model, "regression", x, y, epochs=15)
    assert metrics["rmse"] < 0.85  # the mean: 1


@families
def test_it_learns_from_ids_alone(name: str):
    """A feature of ids carries all the information, in no order that a linear model of the number could use."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 40)
    ids = random.integers(0, 40, (4000, 1))
    model = family(name).build((ModelInput("id", "int64", cardinality=40),), "binary_classification", 2)
    metrics = _learned(model, "binary_classification", {"id": ids}, truth[ids], epochs=5)
    assert metrics["accuracy"] > 0.97
