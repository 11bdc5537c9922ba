"""What every model family keeps: found in its folder, one law per test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ruamel.yaml import YAML
from sklearn import datasets

from components import catalog
from components.errors import ComponentError
from components.features import ModelInput, Task
from components.model.build import build_model
from components.model.config import FAMILIES, ModelConfig
from components.model.family import ModelFamily
from components.model.image_family import ImageFamily
from components.model.sequence_family import SequenceFamily
from components.training import objective
from tests.factories.small_families import LEARNERS, SMALL

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
STORY = ModelInput("story", "int64", (6,), 50)
PICTURE = ModelInput("picture", "float32", (9, 6, 3))
WINDOW = tuple(ModelInput(f"{of}_lag_{lag}", "float32") for of in ("co2", "wind") for lag in (1, 2, 3, 4))

families = pytest.mark.parametrize("name", catalog.names(FAMILIES))
tasks = pytest.mark.parametrize(("task", "classes"), TASKS)


def plugin(name: str) -> type[ModelFamily]:
    return catalog.load(FAMILIES, name, ModelFamily)


def family(name: str, **parameters: object) -> ModelFamily:
    return plugin(name).model_validate({**SMALL.get(name, {}), **parameters})


def learner(name: str) -> ModelFamily:
    return family(name, **LEARNERS.get(name, {}))


def inputs_of(name: str) -> tuple[ModelInput, ...]:
    """Return a mix of inputs that the family takes."""
    found = (*INPUTS, PICTURE) if issubclass(plugin(name), ImageFamily) else INPUTS
    return (*INPUTS, STORY, *WINDOW) if issubclass(plugin(name), SequenceFamily) else found


def takers(*inputs: ModelInput) -> Any:
    """Return a mark that goes over the families that can do something with these inputs."""
    fit = [name for name in catalog.names(FAMILIES) if plugin(name)().refuses(inputs) is None]
    return pytest.mark.parametrize("name", fit)


def with_option(option: str) -> Any:
    """Return a mark that goes over the families that have an option."""
    return pytest.mark.parametrize(
        "name", [name for name in catalog.names(FAMILIES) if option in plugin(name).model_fields]
    )


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
    text = plugin(name).__doc__ or ""
    assert "Use it" in text
    undocumented = [field for field in plugin(name).model_fields if f"\n        {field}: " not in text]
    assert not undocumented


@families
def test_it_survives_yaml(name: str, tmp_path: Path):
    config = ModelConfig.model_validate({"family": name, "l2": 0.25, **SMALL.get(name, {})})
    YAML().dump(config.model_dump(mode="json"), tmp_path / "model.yaml")
    again = ModelConfig.model_validate(YAML(typ="safe").load(tmp_path / "model.yaml"))
    assert again == config
    assert again.family is not None
    assert again.family.model_dump(mode="json")[name]["l2"] == 0.25


IMPOSSIBLE: dict[str, tuple[Any, ...]] = {
    "l1": (-1, float("nan")),
    "l2": (-1, float("inf")),
    "dropout": (1.0, -0.1),
    "spatial_dropout": (1.0,),
    "hidden_units": ([0],),
    "activation": ("swoosh",),
    "normalization": ("group",),
    "embedding_dim": (0,),
}


@families
def test_it_refuses_unknown_and_impossible_parameters(name: str):
    wrong = {option: values for option, values in IMPOSSIBLE.items() if option in plugin(name).model_fields}
    for option, values in {"hiden_units": ([8],), **wrong}.items():
        for value in values:
            with pytest.raises(ValueError, match=option):
                family(name, **{option: value})


@families
@tasks
def test_its_output_has_the_declared_shape_and_range(name: str, task: Task, classes: int):
    model = family(name).build(inputs_of(name), task, classes)
    for count in (1, 5):
        output = np.asarray(model(rows(inputs_of(name), count), training=False))
        assert output.shape == (count, classes if task == "multiclass_classification" else 1)
        assert output.dtype == np.float32
        if task == "binary_classification":
            assert ((output > 0) & (output < 1)).all()
        if task == "multiclass_classification":
            np.testing.assert_allclose(output.sum(axis=1), 1, rtol=1e-5)


@families
def test_its_inputs_are_named_like_the_features_and_have_their_dtypes(name: str):
    model = family(name).build(inputs_of(name), "regression", 1)
    received = {tensor.name: (tensor.dtype, tensor.shape) for tensor in model.inputs}
    assert received == {each.name: (each.dtype, (None, *each.shape)) for each in inputs_of(name)}


@families
@pytest.mark.parametrize(
    "inputs",
    [INPUTS[:1], INPUTS[2:3], INPUTS[:2], INPUTS[2:], (STORY,), WINDOW, (PICTURE,), (PICTURE, STORY, *WINDOW)],
    ids=["1d", "1i", "2d", "2i", "text", "windows", "image", "all"],
)
def test_it_takes_any_mix_of_inputs_or_says_what_it_needs(name: str, inputs: tuple[ModelInput, ...]):
    if refusal := family(name).refuses(inputs):
        received, expected, remedy = refusal
        assert all(each.name in received for each in inputs)
        assert name in expected
        assert "choose mlp" in remedy
        with pytest.raises(ComponentError, match=f"Family {name} cannot be built: no .* among the inputs"):
            build_model(ModelConfig.model_validate({"family": name}), inputs, "regression", 1)
        return
    output = np.asarray(family(name).build(inputs, "binary_classification", 2)(rows(inputs, 5), training=False))
    assert output.shape == (5, 1)
    # a linear model has no weight for an id before it has learned
    assert name == "linear" or len(np.unique(output)) > 1
    assert np.isfinite(output).all()


@families
def test_a_seed_decides_its_weights(name: str):
    outputs = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        model = family(name).build(inputs_of(name), "regression", 1)
        outputs.append(np.asarray(model(rows(inputs_of(name), 4), training=False)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0], outputs[2])


@with_option("dropout")
def test_dropout_acts_in_training_only(name: str):
    model = family(name, dropout=0.5).build(inputs_of(name), "regression", 1)
    data = rows(inputs_of(name), 16)
    np.testing.assert_array_equal(model(data, training=False), model(data, training=False))
    assert not np.array_equal(model(data, training=True), model(data, training=True))


@families
def test_the_penalty_is_on_each_kernel_and_on_nothing_else(name: str):
    inputs = inputs_of(name)
    model = family(name, l1=0.5, l2=0.25).build(inputs, "multiclass_classification", 3)
    model(rows(inputs, 2), training=False)
    # a linear model's weights of ids are an embedding
    kernels = [
        np.asarray(weight)
        for weight in model.trainable_weights
        if weight.name in ("kernel", "recurrent_kernel") or weight.path.split("/")[0].endswith(("_wide", "_linear"))
    ]
    assert len(kernels) > 1
    expected = sum(0.5 * np.abs(kernel).sum() + 0.25 * np.square(kernel).sum() for kernel in kernels)
    np.testing.assert_allclose(sum(float(loss) for loss in model.losses), expected, rtol=1e-4)
    assert not family(name).build(inputs, "regression", 1).losses


@families
def test_it_saves_and_loads_as_keras(name: str, tmp_path: Path):
    options = {"normalization": "layer", "dropout": 0.1, "spatial_dropout": 0.1, "l1": 0.1}
    chosen = {option: value for option, value in options.items() if option in plugin(name).model_fields}
    model = family(name, **chosen).build(inputs_of(name), "multiclass_classification", 3)
    model.save(tmp_path / "model.keras")
    data = rows(inputs_of(name), 6)
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


@takers(*INPUTS)
def test_it_learns_to_tell_tumours_apart(name: str):
    keras.utils.set_random_seed(0)
    data, target = datasets.load_breast_cancer(return_X_y=True)
    inputs = (ModelInput("measurements", "float32", data.shape[1:]),)
    model = learner(name).build(inputs, "binary_classification", 2)
    metrics = _learned(model, "binary_classification", {"measurements": _scaled(data)}, target[:, None], epochs=10)
    assert metrics["auc"] > 0.97
    assert metrics["accuracy"] > 0.92  # always saying "benign": 0.63


ROWS_OF_PIXELS = ModelInput("pixels", "float32", (8, 8))


@takers(ROWS_OF_PIXELS)
def test_it_learns_to_read_digits_row_by_row(name: str):
    keras.utils.set_random_seed(0)
    data, target = datasets.load_digits(return_X_y=True)
    model = learner(name).build((ROWS_OF_PIXELS,), "multiclass_classification", 10)
    pixels = (data.reshape(-1, 8, 8) / 16).astype("float32")
    metrics = _learned(model, "multiclass_classification", {"pixels": pixels}, target[:, None], epochs=12)
    assert metrics["accuracy"] > 0.85  # guessing: 0.1


WORDS = ModelInput("story", "int64", (10,), 12)


def _orders() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return texts with a 10 right before an 11 or right behind it, somewhere; the same words either way."""
    random = np.random.default_rng(0)
    words, first = random.integers(1, 10, (3000, 10)), random.integers(0, 2, 3000)
    places, at = random.integers(0, 9, 3000), np.arange(3000)
    words[at, places], words[at, places + 1] = 10 + first, 11 - first
    return {"story": words}, first[:, None]


@takers(WORDS)
def test_only_a_family_that_reads_step_by_step_learns_the_order_of_words(name: str):
    keras.utils.set_random_seed(0)
    model = learner(name).build((WORDS,), "binary_classification", 2)
    accuracy = _learned(model, "binary_classification", *_orders(), epochs=10)["accuracy"]
    if issubclass(plugin(name), SequenceFamily):
        assert accuracy > 0.9
    else:
        assert accuracy < 0.6  # a bag of words knows nothing of it


@takers(PICTURE)
def test_it_learns_to_read_digits_from_their_images(name: str):
    keras.utils.set_random_seed(0)
    data, target = datasets.load_digits(return_X_y=True)
    pixels = (data.reshape(-1, 8, 8, 1) / 16).astype("float32")
    model = learner(name).build((ModelInput("pixels", "float32", (8, 8, 1)),), "multiclass_classification", 10)
    metrics = _learned(model, "multiclass_classification", {"pixels": pixels}, target[:, None], epochs=10)
    assert metrics["accuracy"] > 0.88  # guessing: 0.1


@takers(*INPUTS)
def test_it_learns_the_course_of_diabetes(name: str):
    keras.utils.set_random_seed(0)
    data, target = datasets.load_diabetes(return_X_y=True)
    bins = np.digitize(data[:, 2], np.quantile(data[:, 2], np.linspace(0, 1, 11)[1:-1]))
    inputs = (ModelInput("measurements", "float32", (10,)), ModelInput("bmi", "int64", cardinality=10))
    y = _scaled(target)[:, None]
    x = {"measurements": _scaled(data), "bmi": bins[:, None].astype("int64")}
    model = learner(name).build(inputs, "regression", 1)
    metrics = _learned(model, "regression", x, y, epochs=15)
    assert metrics["rmse"] < 0.85  # the mean: 1


@takers(*INPUTS)
def test_it_learns_from_ids_alone(name: str):
    """A feature of ids carries all the information, in no order that a linear model of the number could use."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 40)
    ids = random.integers(0, 40, (4000, 1))
    model = learner(name).build((ModelInput("id", "int64", cardinality=40),), "binary_classification", 2)
    metrics = _learned(model, "binary_classification", {"id": ids}, truth[ids], epochs=5)
    assert metrics["accuracy"] > 0.97
