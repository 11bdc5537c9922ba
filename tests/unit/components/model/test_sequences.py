"""What every model family makes of a sequence of ids, such as the words of a text."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from components import catalog
from components.features import ModelInput
from components.model.config import FAMILIES
from components.model.family import ModelFamily

QUICK = {
    "lstm": {"units": [16]},
    "bi_lstm": {"units": [8]},
    "gru": {"units": [16]},
    "text_cnn": {"filters": 16, "kernel_sizes": [1, 3]},
    "temporal_cnn": {"filters": [16, 16], "pooling": "max"},
    "transformer": {"width": 16, "heads": 2, "layers": 1, "feedforward_units": 32},
}
"""Parameters that make a family quick."""

TEXT = ModelInput("text", "int64", (6,), 50)


def plugin(name: str) -> type[ModelFamily]:
    return catalog.load(FAMILIES, name, ModelFamily)


families = pytest.mark.parametrize(
    "name", [name for name in catalog.names(FAMILIES) if plugin(name)().refuses((TEXT,)) is None]
)


def family(name: str, **parameters: object) -> ModelFamily:
    return plugin(name).model_validate(parameters)


def built(name: str, length: int = 6, **parameters: object) -> keras.Model:
    keras.utils.set_random_seed(1)
    inputs = (ModelInput("text", "int64", (length,), 50), ModelInput("fare", "float32"))
    return family(name, **parameters).build(inputs, "binary_classification", 2)


def answers(model: keras.Model, ids: list[list[int]]) -> np.ndarray:
    return np.asarray(model({"text": np.array(ids), "fare": np.zeros((len(ids), 1), "float32")}, training=False))


@families
def test_more_padding_changes_nothing(name: str):
    short, long = built(name, 3), built(name, 40)
    long.set_weights(short.get_weights())
    words = [[7, 8, 9], [7, 0, 0]]
    padded = [[*row, *[0] * 37] for row in words]
    np.testing.assert_allclose(answers(short, words), answers(long, padded), rtol=1e-5)


@families
def test_a_long_text_does_not_make_a_wider_model(name: str):
    assert built(name, 3).count_params() == built(name, 1000).count_params()


def _with_other_weights(model: keras.Model) -> None:
    """A linear model has no weight for an id before it has learned."""
    random = np.random.default_rng(0)
    for weights in model.trainable_weights:
        if "embedding" in weights.name:
            weights.assign(random.normal(size=weights.shape))


@families
def test_what_stands_for_padding_changes_nothing(name: str):
    model = built(name)
    _with_other_weights(model)
    words = [[7, 8, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0], [0] * 6]
    before = answers(model, words)
    for weights in model.trainable_weights:
        if "embedding" in weights.name and weights.shape[0] == 50:
            weights.assign(np.concatenate([np.full((1, weights.shape[1]), 9.0), np.asarray(weights)[1:]]))
    np.testing.assert_allclose(answers(model, words), before, rtol=1e-6)
    assert len(np.unique(before)) == 3


@families
@pytest.mark.filterwarnings("error")
def test_a_text_without_words_has_an_answer(name: str):
    model = built(name)
    _with_other_weights(model)
    empty, other = answers(model, [[0] * 6, [3, 4, 5, 0, 0, 0]])
    assert np.isfinite(empty).all()
    assert empty != other


@families
def test_the_gradient_of_a_text_without_words_is_finite(name: str):
    model = built(name)
    model.compile("sgd", "binary_crossentropy")
    model.fit({"text": np.zeros((4, 6), int), "fare": np.zeros((4, 1), "float32")}, np.ones((4, 1)), verbose=0)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())


@families
def test_it_saves_and_loads_as_keras(name: str, tmp_path: Path):
    model = built(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    ids = [[1, 2, 3, 0, 0, 0], [0] * 6, [49, 48, 47, 46, 45, 44]]
    np.testing.assert_array_equal(answers(model, ids), answers(loaded, ids))


@families
def test_it_learns_which_word_decides(name: str):
    """Where the word stands, and how long the text is, says nothing."""
    random = np.random.default_rng(0)
    ids = random.integers(1, 50, (3000, 12))
    ids[np.arange(12) >= random.integers(1, 13, (3000, 1))] = 0
    label = (ids == 7).any(1) | (ids == 8).any(1)
    data = {"text": ids, "fare": np.zeros((3000, 1), "float32")}
    model = built(name, 12, **QUICK.get(name, {}))
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=["accuracy"])
    learn, epochs = {key: value[:2000] for key, value in data.items()}, 40 if name == "linear" else 15
    model.fit(learn, label[:2000], epochs=epochs, batch_size=64, verbose=0)
    held_out = {key: value[2000:] for key, value in data.items()}
    accuracy = model.evaluate(held_out, label[2000:], verbose=0, return_dict=True)["accuracy"]
    assert 0.7 < 1 - label.mean() < 0.9
    # what a word adds to a linear model is less in a long text
    assert accuracy > (0.92 if name == "linear" else 0.97)
