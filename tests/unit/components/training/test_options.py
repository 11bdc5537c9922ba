"""Options of a training, each by its effect on real data, and the combinations that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from components.errors import ComponentError
from components.training import objective
from components.training.callback_config import check_callbacks_source
from components.training.combinations import refused
from components.training.config import OPTIMIZERS, TrainingConfig
from components.training.distribution import Distribution
from components.training.effective import Effective
from components.training.places import Places
from components.training.user_callbacks import UserCallbacks
from tests.factories.tumours import same, splits, train, weights

SGD = {"sgd": {"learning_rate": 0.1}}


def length(result: Any) -> float:
    """Return the norm of all weights."""
    return float(np.sqrt(sum(np.sum(each**2) for each in weights(result))))


@pytest.mark.parametrize("name", ["nadam", "adamax", "adadelta", "adafactor", "lamb", "muon"])
def test_more_optimizers_of_keras_learn(folders: dict[str, str], name: str):
    result = train(folders, epochs=4, optimizer={name: {"learning_rate": 0.05}})
    assert type(result.model.optimizer).__name__ == OPTIMIZERS[name]
    assert result.epochs[-1]["loss"] < result.epochs[0]["loss"]


@pytest.mark.parametrize("limit", [{"norm": 1e-4}, {"global_norm": 1e-4}, {"value": 1e-5}])
def test_clipped_gradients_move_weights_less(folders: dict[str, str], limit: dict[str, float]):
    start = train(folders, epochs=1, optimizer={"sgd": {"learning_rate": 1e-12}})
    free, clipped = (train(folders, epochs=1, optimizer=SGD, gradient_clipping=each) for each in (None, limit))

    def moved(result: Any) -> float:
        pairs = zip(weights(result), weights(start), strict=True)
        return float(np.sqrt(sum(np.sum((now - before) ** 2) for now, before in pairs)))

    assert moved(free) > 0.05
    # 7 steps at rate 0.1; a norm of 1e-4 in each of 5 variables, or 1e-5 in each of some 700 elements
    assert 0 < moved(clipped) < 7 * 0.1 * 4e-4


def test_weight_decay_makes_weights_smaller(folders: dict[str, str]):
    plain, decayed = (train(folders, optimizer=SGD, weight_decay=decay) for decay in (None, 0.5))
    assert length(decayed) < 0.9 * length(plain)


def test_label_smoothing_keeps_probabilities_from_the_ends(folders: dict[str, str]):
    columns = splits(folders)[1].columns
    assert columns is not None
    features = columns.features(columns.dense, columns.ids)
    plain, smooth = (train(folders, epochs=15, label_smoothing=part) for part in (0.0, 0.3))
    means = [float(np.abs(each.model.predict(features, verbose=0) - 0.5).mean()) for each in (plain, smooth)]
    assert means[1] < means[0] - 0.05
    assert smooth.epochs[-1]["val_auc"] > 0.97
    assert type(smooth.model.loss).__module__.startswith("keras.")


@pytest.mark.parametrize("mixed", [False, True])
def test_the_smoothed_loss_is_that_of_keras(mixed: bool):
    config = TrainingConfig(label_smoothing=0.2)
    binary = objective.loss("binary_classification", config, mixed=mixed)
    y, p = np.array([[0], [1], [1]]), np.array([[0.2], [0.7], [0.4]], "float32")
    expected = keras.losses.BinaryCrossentropy(label_smoothing=0.2)(y, p)
    assert float(binary(y, p)) == pytest.approx(float(expected), rel=1e-5)
    several = objective.loss("multiclass_classification", config, mixed=mixed)
    ids, p = np.array([[2], [0]]), np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], "float32")
    hot = np.eye(3, dtype="float32")[ids[:, 0]]
    expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.2)(hot, p)
    assert float(several(ids, p)) == pytest.approx(float(expected), rel=1e-5)


def test_smoothing_goes_with_focal_loss_and_class_weights():
    given = {"label_smoothing": 0.3, "class_weights": {"0": 1.0, "1": 2.0, "2": 4.0}, "loss": {"focal": {"gamma": 2}}}
    loss = objective.loss("multiclass_classification", TrainingConfig.model_validate(given))
    p = np.array([[0.2, 0.3, 0.5]], "float32")
    share = np.array([0.1, 0.1, 0.8])
    expected = float(np.sum(share * np.array([1, 2, 4]) * -((1 - p[0]) ** 2) * np.log(p[0])))
    assert float(loss(np.array([[2]]), p)) == pytest.approx(expected, rel=1e-4)


def test_accumulated_gradients_of_small_batches_are_those_of_a_large_one(folders: dict[str, str]):
    def once(**options: Any) -> Any:
        return train(folders, epochs=1, optimizer=SGD, **options)

    # 400 rows: 4 batches of 100, in two steps of 200; dropout draws other masks, so weights are near, not equal
    one, other = once(batch_size=200), once(batch_size=100, gradient_accumulation=2)
    far = once(batch_size=100)
    assert int(other.model.optimizer.iterations) == 2

    def distance(a: Any, b: Any) -> float:
        return float(sum(np.abs(x - y).sum() for x, y in zip(weights(a), weights(b), strict=True)))

    assert distance(one, other) < 0.5 * distance(one, far)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_learns_and_leaves_a_float32_model(folders: dict[str, str], precision: str):
    full, mixed = train(folders, epochs=6), train(folders, epochs=6, precision=precision)
    assert not same(full, mixed)
    assert mixed.epochs[-1]["val_auc"] > 0.97
    assert {layer.compute_dtype for layer in mixed.model.layers} <= {"float32", "int64"}
    assert keras.config.dtype_policy().name == "float32"
    assert mixed.settings["precision"] == precision
    columns = splits(folders)[1].columns
    assert columns is not None
    features = columns.features(columns.dense, columns.ids)
    found = keras.metrics.AUC()(columns.label, mixed.model.predict(features, verbose=0))
    assert float(found) == pytest.approx(mixed.epochs[-1]["val_auc"], abs=0.01)


def test_a_model_that_predicts_in_16_bits_is_refused(folders: dict[str, str]):
    from components.training.fit import fit

    def build() -> keras.Model:
        given = keras.Input((1,), name="measurement_0")
        return keras.Model({"measurement_0": given}, keras.layers.Dense(1, activation="sigmoid")(given))

    config = TrainingConfig(precision="mixed_bfloat16")
    with pytest.raises(ComponentError, match=r"output is bfloat16.*last layer dtype='float32'"):
        fit(build, config, "binary_classification", *splits(folders))


@pytest.mark.parametrize("compiled", [True, False])
def test_xla_is_used_as_the_spec_says(folders: dict[str, str], compiled: bool):
    result = train(folders, epochs=6, jit_compile=compiled)
    assert result.settings["jit_compiled"] is result.model.jit_compile is compiled
    assert result.epochs[-1]["val_auc"] > 0.97


def test_xla_is_refused_for_a_layer_that_it_cannot_compile(folders: dict[str, str]):
    from components.training.fit import fit

    def build() -> keras.Model:
        given = keras.Input((1,), name="measurement_0")
        layer = keras.layers.Dense(1, activation="sigmoid", name="odd")
        layer.supports_jit = False
        return keras.Model({"measurement_0": given}, layer(given))

    with pytest.raises(ComponentError, match=r"odd does not support it.*Set it to auto"):
        fit(build, TrainingConfig(jit_compile=True), "binary_classification", *splits(folders))


RATE = {"sgd": {"learning_rate": 0.5, "momentum": 0.95}}


def test_the_best_or_the_last_epochs_weights_are_kept(folders: dict[str, str]):
    last, best = (train(folders, epochs=12, optimizer=RATE, keep=which) for which in ("last", "best"))
    losses = [each["val_loss"] for each in best.epochs]
    assert len(losses) == 12
    assert last.best_epoch == 12
    assert losses[best.best_epoch - 1] == min(losses) < losses[-1]
    assert not same(last, best)
    area = train(folders, epochs=12, optimizer=RATE, keep={"best": "val_auc"})
    areas = [each["val_auc"] for each in area.epochs]
    assert areas[area.best_epoch - 1] == max(areas)


def test_early_stopping_can_leave_the_last_weights(folders: dict[str, str]):
    result = train(folders, epochs=40, optimizer=RATE, early_stopping={"patience": 2}, keep="last")
    assert len(result.epochs) == result.best_epoch < 40


def test_the_learning_rate_can_follow_a_metric_that_should_rise(folders: dict[str, str]):
    options = {"patience": 0, "factor": 0.5, "monitor": "val_auc"}
    result = train(folders, epochs=12, optimizer=RATE, reduce_learning_rate=options)
    best = 0.0
    for before, after in zip(result.epochs, result.epochs[1:], strict=False):
        stalled = before["val_auc"] <= best
        best = max(best, before["val_auc"])
        assert after["learning_rate"] == pytest.approx(before["learning_rate"] * (0.5 if stalled else 1.0))
    assert result.epochs[-1]["learning_rate"] < 0.5


def test_the_direction_can_be_named(folders: dict[str, str]):
    given = {"patience": 0, "monitor": "val_auc", "mode": "min"}
    result = train(folders, epochs=12, early_stopping=given, optimizer={"adam": {"learning_rate": 0.001}})
    assert len(result.epochs) == 2  # it rises at once, which is no improvement


def test_the_batch_of_each_copy_is_the_whole_one_on_one_device(folders: dict[str, str]):
    result = train(folders, per_replica_batch_size=64, scale_learning_rate="linear")
    assert result.settings["batch_size"] == 64
    assert result.settings["learning_rate_scale"] == 1.0
    assert same(result, train(folders))


def test_copies_multiply_batch_and_learning_rate():
    from components.training.optimizer import make_optimizer

    config = TrainingConfig(per_replica_batch_size=16, scale_learning_rate="linear")
    found = Effective.of(config, Distribution(object(), 4), 1000)
    assert (found.config.batch_size, found.rate_factor, found.length.steps_per_epoch) == (64, 4.0, 16)
    assert float(make_optimizer(found.config, found.length, found.rate_factor).learning_rate) == pytest.approx(0.004)
    rate = {"polynomial_decay": {"initial_learning_rate": 0.1, "end_learning_rate": 0.01}}
    scheduled = config.model_copy(
        update={"optimizer": config.optimizer.model_copy(update={"arguments": {"learning_rate": rate}})}
    )
    made = make_optimizer(scheduled, found.length, 4.0)
    schedule = made._learning_rate
    assert (float(schedule(0)), float(schedule(10_000))) == pytest.approx((0.4, 0.04))


MANY: dict[str, Any] = {
    "optimizer": {
        "adamw": {"learning_rate": {"cosine_decay": {"initial_learning_rate": 0.02}, "warm_up": {"steps": 3}}}
    },
    "gradient_clipping": {"global_norm": 1.0},
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "gradient_accumulation": 2,
    "keep": "best",
}


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_two_runs_with_all_options_and_one_seed_are_bit_equal(folders: dict[str, str], precision: str):
    one, two = (train(folders, precision=precision, **MANY) for _ in range(2))
    assert same(one, two)
    assert not same(one, train(folders, precision=precision, seed=5, **MANY))


COPIES = {"strategy": "mirrored"}


@pytest.mark.parametrize(
    ("written", "option", "message"),
    [
        (
            {"reduce_learning_rate": {}, "optimizer": {"adam": {"learning_rate": {"constant": 0.1}}}},
            "reduce_learning_rate",
            "a schedule sets the rate of every step anew",
        ),
        ({"weight_decay": 0.1, "optimizer": {"adamw": {"weight_decay": 0.1}}}, "weight_decay", "twice"),
        ({"scale_learning_rate": "linear"}, "scale_learning_rate", "does not grow with them"),
        ({**COPIES, "gradient_accumulation": 2}, "gradient_accumulation", "only some of the steps"),
        ({**COPIES, "jit_compile": True}, "jit_compile", "XLA cannot compile the exchange"),
        ({"strategy": "tpu", "precision": "mixed_float16"}, "precision", "a TPU has no float16"),
    ],
)
def test_what_cannot_go_together_is_refused_with_the_reason(written: dict[str, Any], option: str, message: str):
    ((found, *rest),) = refused(TrainingConfig.model_validate(written), "binary_classification")
    assert found == option
    assert message in " ".join(rest)


def test_label_smoothing_needs_classes():
    ((option, *_),) = refused(TrainingConfig(label_smoothing=0.1), "regression")
    assert option == "label_smoothing"


def test_what_the_devices_of_a_machine_cannot_do_is_refused_there():
    several = Distribution(object(), 2)
    with pytest.raises(ComponentError, match=r"gradient_accumulation 2 with several copies.*strategy to none"):
        Effective.of(TrainingConfig(gradient_accumulation=2), several, 1000)
    with pytest.raises(ComponentError, match="more than the 2 batches of the whole training"):
        Effective.of(TrainingConfig(gradient_accumulation=3, epochs=1), Distribution(), 1000)


@pytest.mark.parametrize("limits", [{}, {"norm": 1, "value": 1}])
def test_gradients_are_clipped_in_one_way(limits: dict[str, float]):
    with pytest.raises(ValueError, match="one of norm, global_norm and value"):
        TrainingConfig.model_validate({"gradient_clipping": limits})


OWN = """import keras


class Stop(keras.callbacks.Callback):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self.at:
            self.model.stop_training = True


def callbacks(at=2):
    return [Stop(at)]
"""


def own(source: str, **parameters: Any) -> Places:
    config = TrainingConfig.model_validate({"callbacks": {"module": "mine.py", "parameters": parameters}}).callbacks
    assert config is not None
    return Places(own=UserCallbacks(config, source))


def test_a_users_own_callbacks_are_called(folders: dict[str, str]):
    assert len(train(folders, own(OWN, at=3), epochs=6).epochs) == 3


def test_a_mistake_in_a_callback_is_told_with_its_line(folders: dict[str, str]):
    with pytest.raises(ComponentError, match=r"mine.py:10: AttributeError.*self.model.stop_traning \+= 1") as caught:
        train(
            folders,
            own(
                OWN.replace("self.model.stop_training = True", "self.model.stop_traning += 1").replace(
                    "if epoch + 1 == self.at:\n            ", ""
                )
            ),
            epochs=2,
        )
    assert caught.value.spec_path == "training.callbacks.module"
    with pytest.raises(ComponentError, match=r"mine.py:15: TypeError"):
        own(OWN.replace("[Stop(at)]", "[Stop()]"))
    with pytest.raises(ComponentError, match=r"returned 3, not a keras.callbacks.Callback"):
        own(OWN.replace("[Stop(at)]", "3"))


@pytest.mark.parametrize(
    ("source", "parameters", "where", "message"),
    [
        ("def callback(): ...", {}, "training.callbacks.function", "Define callbacks(**parameters)"),
        ("def callbacks(): ...", {"at": 1}, "training.callbacks.parameters.at", "none: the function takes no param"),
        ("def callbacks(at): ...", {}, "training.callbacks.parameters.at", "a value: callbacks requires it"),
        ("def callbacks(:", {}, "training.callbacks.module", "expected Python"),
    ],
)
def test_a_file_of_callbacks_is_checked_before_it_runs(source: str, parameters: Any, where: str, message: str):
    config = TrainingConfig.model_validate({"callbacks": {"module": "mine.py", "parameters": parameters}}).callbacks
    assert config is not None
    (problem,) = check_callbacks_source(config, source)
    assert problem.where == where
    assert "mine.py:1" in str(problem)
    assert message in str(problem)


def test_a_spec_names_the_line_of_what_does_not_go_together(tmp_path: Path):
    from components.errors import SpecError
    from pipelines.spec import load_spec

    (tmp_path / "mine.py").write_text("def callbacks(at): ...\n")
    (tmp_path / "pipeline.yaml").write_text(
        "name: own\ntask: regression\ndata: {path: x.csv, label: fare, features: {miles: numeric}}\n"
        "model: {family: mlp}\n"
        "training:\n"
        "  batch_size: 64\n"
        "  per_replica_batch_size: 32\n"
        "  label_smoothing: 0.1\n"
        "  callbacks: {module: mine.py}\n"
        "  optimizer:\n"
        "    adam:\n"
        "      learning_rate: {cosine_decay: {alpha: 0.1}}\n"
    )
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "pipeline.yaml")
    found = {problem.where.removeprefix("training."): problem.line for problem in caught.value.problems}
    assert found == {
        "label_smoothing": 8,
        "per_replica_batch_size": 7,
        "optimizer.adam.learning_rate.cosine_decay.initial_learning_rate": 12,
        "callbacks.parameters.at": 1,
    }
    with pytest.raises(SpecError, match="'gone.py', which is not there"):
        load_spec(tmp_path / "pipeline.yaml", ["training.callbacks.module=gone.py"])
    (tmp_path / "odd.py").write_bytes(b"\xff")
    with pytest.raises(SpecError, match="expected UTF-8 text"):
        load_spec(tmp_path / "pipeline.yaml", ["training.callbacks.module=odd.py"])
