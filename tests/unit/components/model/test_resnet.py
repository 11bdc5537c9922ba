"""What each hyperparameter of the family `resnet` does."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from components.features import ModelInput
from components.model.families.resnet import Resnet

PICTURE = (ModelInput("picture", "float32", (32, 32, 3)),)


def built(**parameters: Any) -> keras.Model:
    return Resnet(**parameters).build(PICTURE, "multiclass_classification", 10)


def convolutions(model: keras.Model) -> list[keras.layers.Conv2D]:
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def test_the_defaults_are_the_papers_network_of_14_layers():
    model = built()
    sizes = [layer.output.shape[1:] for layer in convolutions(model) if "shortcut" not in layer.name]
    assert sizes == [(32, 32, 16)] * 5 + [(16, 16, 32)] * 4 + [(8, 8, 64)] * 4
    assert len([layer for layer in convolutions(model) if "shortcut" in layer.name]) == 2
    inner = 9 * (3 * 16 + 4 * 16 * 16 + 16 * 32 + 3 * 32 * 32 + 32 * 64 + 3 * 64 * 64)
    shortcuts, normalization = 16 * 32 + 32 * 64, 4 * (5 * 16 + 5 * 32 + 5 * 64)
    assert model.count_params() == inner + shortcuts + normalization + 64 * 10 + 10


def test_a_block_adds_to_what_it_gets():
    model = built(filters=(4,), blocks=1)
    image = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    model.get_layer("picture_1_1_2_convolution").kernel.assign(np.zeros((3, 3, 4, 4)))
    before, after = (model.get_layer(name).output for name in ("picture_first_activation", "picture_1_1_activation"))
    np.testing.assert_allclose(*keras.Model(model.inputs, [before, after])(image), rtol=1e-5)


def test_the_first_stride_makes_the_image_smaller():
    assert convolutions(built(first_stride=2))[0].output.shape[1:3] == (16, 16)


def rates(model: keras.Model) -> list[float]:
    return [each.rate for each in model.layers if isinstance(each, keras.layers.SpatialDropout2D)]


def test_filters_are_dropped_between_the_convolutions_of_a_block():
    assert rates(built(filters=(4, 4), blocks=2, dropout=0.2)) == [0.2] * 4
    assert rates(built(filters=(4,), blocks=1, dropout=0.2, spatial_dropout=0.0)) == []


def test_images_of_one_pixel_stay_so():
    tiny = (ModelInput("picture", "float32", (1, 3, 1)),)
    model = Resnet(filters=(2, 2, 2, 2), blocks=1).build(tiny, "regression", 1)
    assert model(np.zeros((2, 1, 3, 1)), training=False).shape == (2, 1)
