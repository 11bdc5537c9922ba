"""What each hyperparameter of the families that read step by step does, and how windows of a series are read."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from components.features import ModelInput
from components.model.families.bi_lstm import BiLstm
from components.model.families.gru import Gru
from components.model.families.lstm import Lstm
from components.model.families.temporal_cnn import TemporalCnn
from components.model.families.text_cnn import TextCnn
from components.model.families.transformer import Transformer
from components.model.sequence_family import SequenceFamily
from components.model.sequences import pooled, step_inputs

TEXT = (ModelInput("text", "int64", (6,), 50),)
SIGNAL = ModelInput("signal", "float32", (40,))


def lags(*series: str, past: int = 3) -> list[ModelInput]:
    return [ModelInput(f"{name}_lag_{lag}", "float32") for name in series for lag in range(1, past + 1)]


def parameters_of(family: SequenceFamily, inputs: Any) -> int:
    return int(family.build(inputs, "regression", 1).count_params())


def test_a_window_is_read_from_its_oldest_value_with_a_channel_per_series():
    inputs = [*lags("co2", "wind"), ModelInput("height", "float32"), *lags("rain", past=2)]
    (both, rain), others = step_inputs(inputs)
    assert [each.name for each in others] == ["height"]
    assert (both.name, rain.name) == ("co2_and_wind", "rain")
    tensors = {each.name: keras.Input((1,), name=each.name) for each in inputs}
    read = keras.Model(tensors, both.tensor(tensors))
    row = {each.name: np.array([[float(at)]]) for at, each in enumerate(inputs)}
    assert np.asarray(read(row)).tolist() == [[[2, 5], [1, 4], [0, 3]]]


def test_a_single_lag_and_ids_of_lags_are_no_window():
    ids = [ModelInput(f"state_lag_{lag}", "int64", cardinality=4) for lag in (1, 2)]
    assert step_inputs([*lags("co2", past=1), *ids])[0] == []


def test_a_vector_is_a_series_where_it_is_named():
    assert step_inputs([SIGNAL])[0] == []
    model = Lstm(units=(4,), series=("signal",)).build((SIGNAL,), "regression", 1)
    assert model.get_layer("signal_steps").output.shape == (None, 40, 1)


@pytest.mark.parametrize(
    ("inputs", "name", "message"),
    [
        (TEXT, "text", "series 'text', which is ids"),
        ((ModelInput("fare", "float32"),), "fare", "series 'fare', which is one number"),
        ((ModelInput("photo", "float32", (4, 4, 1)),), "photo", "series 'photo', which is an image"),
    ],
)
def test_a_series_of_something_else_is_refused(inputs: Any, name: str, message: str):
    with pytest.raises(ValueError, match=f"{message}; expected a vector, one number per step"):
        Gru(series=(name,)).build(inputs, "regression", 1)


@pytest.mark.parametrize(
    ("pooling", "expected"), [("last", [[3, -4], [0, 0]]), ("mean", [[2, -3], [0, 0]]), ("max", [[3, -2], [0, 0]])]
)
def test_pooling_counts_tokens_alone(pooling: Any, expected: list[list[float]]):
    steps = np.array([[[1, -2], [3, -4], [9, 9]], [[9, 9], [9, 9], [9, 9]]], "float32")
    mask = np.array([[True, True, False], [False, False, False]])
    assert np.asarray(pooled(steps, mask, pooling)).tolist() == expected
    assert np.isfinite(pooled(steps, None, pooling)).all()


def test_the_weights_are_as_many_as_documented():
    assert parameters_of(Lstm(units=(8, 4), embedding_dim=5), TEXT) == (
        50 * 5 + 4 * 8 * (5 + 8 + 1) + 4 * 4 * (8 + 4 + 1) + 4 + 1
    )
    assert parameters_of(Gru(units=(8,), embedding_dim=5), TEXT) == 50 * 5 + 3 * 8 * (5 + 8 + 2) + 8 + 1
    assert parameters_of(BiLstm(units=(8,), embedding_dim=5), TEXT) == 50 * 5 + 2 * 4 * 8 * (5 + 8 + 1) + 16 + 1
    assert parameters_of(TextCnn(filters=7, kernel_sizes=(2, 3), embedding_dim=5), TEXT) == (
        50 * 5 + (2 * 5 * 7 + 7) + (3 * 5 * 7 + 7) + 14 + 1
    )
    assert parameters_of(TemporalCnn(filters=(8,), kernel_size=2, embedding_dim=5), TEXT) == (
        50 * 5 + (2 * 5 * 8 + 8) + (2 * 8 * 8 + 8) + (5 * 8 + 8) + 8 + 1
    )
    block = 4 * (8 * 8 + 8) + (8 * 16 + 16) + (16 * 8 + 8) + 2 * 2 * 8
    family = Transformer(width=8, heads=2, layers=2, feedforward_units=16)
    assert parameters_of(family, TEXT) == 50 * 8 + 2 * block + 2 * 8 + 8 + 1
    learned = family.model_copy(update={"positions": "learned"})
    assert parameters_of(learned, TEXT) == parameters_of(family, TEXT) + 6 * 8


def test_bi_lstm_is_lstm_that_is_bidirectional():
    answers = []
    for family in (BiLstm(units=(6,)), Lstm(units=(6,), bidirectional=True)):
        keras.utils.set_random_seed(0)
        model = family.build(TEXT, "regression", 1)
        answers.append(np.asarray(model({"text": np.arange(1, 7)[None]}, training=False)))
    np.testing.assert_array_equal(*answers)
    with pytest.raises(ValueError, match="bidirectional"):
        BiLstm(bidirectional=False)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_a_transformer_without_order_but_for_positions_tells_words_in_another_order_apart(positions: Any):
    keras.utils.set_random_seed(0)
    model = Transformer(width=8, heads=2, positions=positions).build(TEXT, "regression", 1)
    words = {"text": np.array([[3, 4, 5, 6, 7, 8], [8, 7, 6, 5, 4, 3]])}
    there, back = np.asarray(model(words, training=False))
    assert abs(there - back) > 1e-3
    padded = {"text": np.array([[3, 4, 0, 0, 0, 0], [4, 3, 0, 0, 0, 0]])}
    assert np.ptp(np.asarray(model(padded, training=False))) > 1e-4


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="width 30 is no multiple of heads 4; 32 is one"):
        Transformer(width=30)
    with pytest.raises(ValueError, match="normalization"):
        Transformer.model_validate({"normalization": "batch"})


def test_a_temporal_cnn_sees_as_far_back_as_documented_and_nothing_to_come():
    model = TemporalCnn(filters=(4, 4), kernel_size=3, series=("signal",), activation="tanh").build(
        (SIGNAL,), "regression", 1
    )
    signal = np.random.default_rng(0).normal(size=(40, 40)).astype("float32")
    signal[:] = signal[0]
    plain = float(np.asarray(model({"signal": signal[:1]}, training=False))[0, 0])
    signal[np.arange(40), np.arange(40)] += 5
    moved = np.abs(np.asarray(model({"signal": signal}, training=False))[:, 0] - plain) > 1e-6
    assert moved[-13:].all()  # 1 + 2 * (3 - 1) * (2 ** 2 - 1)
    assert not moved[:-13].any()


@pytest.mark.parametrize("family", [TextCnn, TemporalCnn, Lstm])
def test_spatial_dropout_drops_a_channel_at_all_steps(family: type[SequenceFamily]):
    model = family.model_validate({"spatial_dropout": 0.5, "embedding_dim": 16}).build(TEXT, "regression", 1)
    embedded = keras.Model(model.inputs, model.get_layer("text_channels").output)
    values = np.asarray(embedded({"text": np.arange(1, 7)[None]}, training=True))[0]
    dropped = (values == 0).all(axis=0)
    assert 0 < dropped.sum() < 16
    assert (values[:, ~dropped] != 0).any(axis=0).all()


def test_a_lstm_forecasts_what_depends_on_the_order_of_the_past():
    keras.utils.set_random_seed(0)
    values = np.random.default_rng(0).normal(size=(1500, 6)).astype("float32")
    target = np.maximum(values[:, 0], values[:, 1])  # of the two newest
    inputs = lags("price", past=6)
    model = Lstm(units=(16,), hidden_units=(16,)).build(inputs, "regression", 1)
    model.compile(keras.optimizers.Adam(0.02), "mse")
    data = {each.name: values[:, at : at + 1] for at, each in enumerate(inputs)}
    model.fit({k: v[:1000] for k, v in data.items()}, target[:1000], epochs=12, batch_size=50, verbose=0)
    error = model.evaluate({k: v[1000:] for k, v in data.items()}, target[1000:], verbose=0)
    assert error < 0.2 * target.var()
