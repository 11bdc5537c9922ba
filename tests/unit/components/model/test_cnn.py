"""What each hyperparameter of the family `cnn` does, and that windows of pixels are what finds a shape."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn import datasets

from components.features import ModelInput
from components.model.families.cnn import Cnn

PICTURE = ModelInput("picture", "float32", (8, 8, 1))
SHOP = ModelInput("shop", "int64", cardinality=7)


def built(*inputs: ModelInput, **parameters: Any) -> keras.Model:
    return Cnn(**parameters).build(inputs or (PICTURE,), "multiclass_classification", 10)


def layers(model: keras.Model, kind: type) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


def test_each_block_has_two_convolutions_of_its_filters_and_halves_the_image():
    model = built(filters=(4, 6), kernel_size=5)
    assert [layer.kernel.shape for layer in layers(model, keras.layers.Conv2D)] == [
        (5, 5, 1, 4), (5, 5, 4, 4), (5, 5, 4, 6), (5, 5, 6, 6)
    ]  # fmt: skip
    assert [layer.output.shape[1:3] for layer in layers(model, keras.layers.MaxPooling2D)] == [(4, 4), (2, 2)]


@pytest.mark.parametrize(
    ("pooling", "kind", "width"),
    [
        ("max", keras.layers.GlobalMaxPooling2D, 6),
        ("average", keras.layers.GlobalAveragePooling2D, 6),
        ("flatten", keras.layers.Flatten, 2 * 2 * 6),
    ],
)
def test_pooling_decides_what_the_dense_layers_see(pooling: Any, kind: type, width: int):
    model = built(filters=(4, 6), pooling=pooling)
    assert layers(model, kind)
    assert model.get_layer("hidden_1").kernel.shape[0] == width


def test_hidden_layers_activation_and_embedding_are_as_asked():
    model = built(PICTURE, SHOP, filters=(4,), hidden_units=(12, 5), activation="tanh", embedding_dim=3)
    assert [layer.units for layer in layers(model, keras.layers.Dense)] == [12, 5, 10]
    assert model.get_layer("hidden_1").kernel.shape[0] == 4 + 3
    inner = [layer.activation.__name__ for layer in layers(model, keras.layers.Activation) if layer.name != "output"]
    assert set(inner) == {"tanh"}


def test_dropout_drops_whole_filters_and_hidden_outputs_in_training_alone():
    picture = {"picture": np.ones((1, 8, 8, 1), "float32")}
    model = built(dropout=0.5)
    dropped = [(type(layer), layer.rate) for layer in layers(model, keras.layers.Dropout)]
    assert dropped == [(keras.layers.SpatialDropout2D, 0.5)] * 2 + [(keras.layers.Dropout, 0.5)]
    first, second = (np.asarray(model(picture, training=True)) for _ in range(2))
    assert not np.allclose(first, second)
    assert np.allclose(model(picture, training=False), model(picture, training=False))
    assert not layers(built(dropout=0.0), keras.layers.Dropout)


def test_spatial_dropout_can_differ_from_that_of_hidden_layers():
    model = built(dropout=0.5, spatial_dropout=0.25)
    assert [layer.rate for layer in layers(model, keras.layers.SpatialDropout2D)] == [0.25, 0.25]
    assert not layers(built(dropout=0.5, spatial_dropout=0.0), keras.layers.SpatialDropout2D)


def test_batch_normalization_takes_the_place_of_the_bias():
    normalized, plain = built(normalization="batch"), built(normalization="none")
    assert len(layers(normalized, keras.layers.BatchNormalization)) == 4
    assert not layers(plain, keras.layers.BatchNormalization)
    assert [layer.use_bias for layer in layers(normalized, keras.layers.Conv2D)] == [False] * 4
    assert [layer.use_bias for layer in layers(plain, keras.layers.Conv2D)] == [True] * 4


def test_windows_find_digits_that_have_moved_where_a_network_without_them_does_not():
    images, labels = datasets.load_digits(return_X_y=True)
    images = np.pad(images.reshape(-1, 8, 8, 1) / 16, ((0, 0), (2, 2), (2, 2), (0, 0))).astype("float32")
    moved = np.roll(images, (1, -1), axis=(1, 2))
    larger = ModelInput("picture", "float32", (12, 12, 1))

    def accuracy(**parameters: Any) -> float:
        keras.utils.set_random_seed(0)
        model = built(larger, **parameters)
        model.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit({"picture": images[:1200]}, labels[:1200], epochs=6, batch_size=32, verbose=0)
        return float(model.evaluate({"picture": moved[1200:]}, labels[1200:], verbose=0)[1])

    assert accuracy(filters=(8, 16)) > accuracy(filters=(8, 16), kernel_size=1) + 0.2
