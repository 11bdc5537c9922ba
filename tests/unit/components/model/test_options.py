"""What penalties and normalization do to a model, and how they may be written."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn import datasets

from components.features import ModelInput
from components.model.families.cnn import Cnn
from components.model.families.linear import Linear
from components.model.families.mlp import Mlp

TUMOURS, MALIGNANT = datasets.load_breast_cancer(return_X_y=True)
TUMOURS = ((TUMOURS - TUMOURS.mean(0)) / TUMOURS.std(0)).astype("float32")
INPUTS = (ModelInput("measurements", "float32", (30,)),)


def weights_of(**parameters: Any) -> np.ndarray:
    """Return what a linear model has learned of tumours."""
    keras.utils.set_random_seed(0)
    model = Linear(**parameters).build(INPUTS, "binary_classification", 2)
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", steps_per_execution=50)
    often = np.tile(np.arange(len(TUMOURS)), 250)
    model.fit({"measurements": TUMOURS[often]}, MALIGNANT[often, None], batch_size=569, verbose=0)
    return np.abs(model.get_layer("linear_linear").kernel.numpy())


def test_l2_shrinks_all_weights_and_l1_makes_those_zero_that_do_not_help():
    plain, l2, l1 = weights_of(), weights_of(l2=0.1), weights_of(l1=0.05)
    assert l2.sum() < 0.5 * plain.sum()
    small = {name: int((found < 0.01).sum()) for name, found in (("plain", plain), ("l2", l2), ("l1", l1))}
    assert small["l1"] >= 15  # of 30
    assert small["l1"] > 2 * max(small["plain"], small["l2"], 1)


def test_layer_normalization_takes_the_scale_of_a_row_away():
    row = {"measurements": TUMOURS[:1] * 100}
    hidden = {}
    for kind in ("none", "layer"):
        keras.utils.set_random_seed(0)
        model = Mlp(hidden_units=(16,), normalization=kind).build(INPUTS, "regression", 1)
        layer = model.get_layer("hidden_1" if kind == "none" else "normalization_1")
        hidden[kind] = float(np.std(keras.Model(model.inputs, layer.output)(row)))
    assert hidden["none"] > 50
    assert hidden["layer"] == pytest.approx(1, abs=0.01)


def test_batch_normalization_predicts_with_averages_of_training():
    model = Mlp(hidden_units=(4,), normalization="batch").build(INPUTS, "regression", 1)
    layer = model.get_layer("normalization_1")
    before = layer.moving_mean.numpy()
    model({"measurements": TUMOURS + 5}, training=True)
    assert not np.allclose(before, layer.moving_mean.numpy())
    assert model.get_layer("hidden_1").use_bias is False
    one, all_rows = (np.asarray(model({"measurements": TUMOURS[:n]}, training=False)) for n in (1, 569))
    np.testing.assert_allclose(one, all_rows[:1], rtol=1e-4)


def test_the_older_spelling_still_means_the_same():
    assert Mlp(batch_normalization=True) == Mlp(normalization="batch")
    assert Cnn(batch_normalization=False) == Cnn(normalization="none")
    assert Cnn().normalization == "batch"
    assert Mlp().normalization == "none"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"batch_normalization": "yes"}, "is true or false, got 'yes'; write normalization: batch"),
        ({"batch_normalization": True, "normalization": "layer"}, "older spelling of normalization; leave it out"),
    ],
)
def test_the_older_spelling_is_refused_where_it_says_nothing_clear(parameters: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=message):
        Mlp.model_validate(parameters)
