"""The wide part of wide_and_deep: crosses."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from components.errors import ComponentError
from components.features import ModelInput
from components.model.build import build_model
from components.model.config import ModelConfig
from components.model.families.wide_and_deep import WideAndDeep

INPUTS = (ModelInput("hour", "int64", cardinality=24), ModelInput("day", "int64", cardinality=7))


def _table(model: keras.Model, name: str) -> np.ndarray:
    return model.get_layer(name).embeddings.numpy()


def test_a_cross_has_one_weight_per_combination():
    model = WideAndDeep(crosses=(("hour", "day"),)).build(INPUTS, "binary_classification", 2)
    table = model.get_layer("hour_x_day_wide")
    assert table.input_dim == 24 * 7
    # A weight of the cross changes the output of its own combination and of no other.
    hours, days = (grid.reshape(-1, 1) for grid in np.meshgrid(range(24), range(7), indexing="ij"))
    data = {"hour": hours, "day": days}
    before = np.asarray(model(data, training=False))
    weights = np.zeros((168, 1), "float32")
    weights[3 * 7 + 5] = 4
    table.embeddings.assign(weights)
    changed = np.flatnonzero(before != np.asarray(model(data, training=False)))
    assert [(int(hours[row, 0]), int(days[row, 0])) for row in changed] == [(3, 5)]


def test_a_large_cross_shares_its_weights_evenly():
    inputs = (ModelInput("a", "int64", cardinality=1000), ModelInput("b", "int64", cardinality=1000))
    model = WideAndDeep(crosses=(("a", "b"),), cross_buckets=100).build(inputs, "regression", 1)
    table = model.get_layer("a_x_b_wide")
    assert table.input_dim == 100
    ids = keras.Model(model.inputs, table.input)
    a, b = (np.random.default_rng(seed).integers(0, 1000, (20_000, 1)) for seed in (0, 1))
    counts = np.bincount(np.asarray(ids([a, b])).ravel(), minlength=100)
    assert counts.min() > 100
    assert counts.max() < 400  # 200 each on average


def test_a_cross_learns_what_its_parts_cannot():
    """Exclusive or: no sum of the two parts gives it, and the deep part is frozen here."""
    keras.utils.set_random_seed(0)
    inputs = (ModelInput("a", "int64", cardinality=2), ModelInput("b", "int64", cardinality=2))
    random = np.random.default_rng(0)
    data = {"a": random.integers(0, 2, (2000, 1)), "b": random.integers(0, 2, (2000, 1))}
    label = data["a"] ^ data["b"]
    losses = {}
    for crosses in ((), (("a", "b"),)):
        family = WideAndDeep(crosses=crosses, hidden_units=(1,), embedding_dim=1)
        model = family.build(inputs, "binary_classification", 2)
        for layer in ("a_embedding", "b_embedding", "hidden_1", "deep"):
            model.get_layer(layer).trainable = False
        model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy", metrics=[])
        model.fit(data, label, epochs=10, batch_size=100, verbose=0)
        losses[bool(crosses)] = model.evaluate(data, label, verbose=0, return_dict=True)["loss"]
    assert losses[True] < 0.1
    assert losses[False] > 0.4  # knowing nothing: 0.69


@pytest.mark.parametrize(
    ("crosses", "message"),
    [([["hour", "fare"]], "'fare', which is not one id per row"), ([["hour", "dya"]], "'dya', which is no input")],
)
def test_a_cross_of_something_else_is_refused(crosses: list[list[str]], message: str):
    inputs = (*INPUTS, ModelInput("fare", "float32"))
    config = ModelConfig.model_validate({"family": "wide_and_deep", "crosses": crosses})
    with pytest.raises(ComponentError, match=message) as caught:
        build_model(config, inputs, "regression", 1)
    assert caught.value.spec_path == "model"


def test_a_cross_of_one_input_is_refused():
    with pytest.raises(ValueError, match="two or more different inputs"):
        WideAndDeep(crosses=(("hour", "hour"),))


def test_the_wide_part_starts_at_zero():
    model = WideAndDeep(crosses=(("hour", "day"),)).build(INPUTS, "regression", 1)
    assert not _table(model, "hour_wide").any()
    assert not _table(model, "hour_x_day_wide").any()
