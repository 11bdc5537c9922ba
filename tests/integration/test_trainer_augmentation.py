"""Augmentation inside the Trainer: it helps, only training sees it, and a run that goes on sees the same batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from sklearn import datasets

from components.augmentation.augmenter import Augmenter
from components.augmentation.config import AugmentationConfig
from components.augmentation.step import Facts
from components.engine.examples import ExampleWriter, encode_examples, read_records
from components.errors import ComponentError
from components.features import LABEL, WEIGHT, ModelInput, Task
from components.model.families.mlp import Mlp
from components.training import objective
from components.training.augmentation import words_of
from components.training.columns import Columns
from components.training.config import TrainingConfig
from components.training.distribution import Distribution
from components.training.fit import fit
from components.training.input_fn import EpochOrder, Split, evaluation_dataset, open_split, training_dataset
from components.training.job import Job
from components.training.places import Places
from components.training.run_fn import run_job
from components.training.shares import Batches, Share, shared_evaluation_dataset, shared_training_dataset
from components.transform.outputs import model_inputs
from tests.factories.balanced import thinned_cancer
from tests.factories.trainer_artifacts import Artifacts, job_arguments, make_artifacts
from tests.factories.transforms import config_of, run_in_process

PICTURE = (ModelInput("picture", "float32", (8, 8, 1)),)
TABLE = (ModelInput("fare", "float32"), ModelInput("hour", "int64", (1,), 24))
STEPS = [{"noise": 0.1}, {"feature_dropout": 0.3}]


def augmenter(
    steps: Sequence[Any], inputs: tuple[ModelInput, ...], task: Task = "multiclass_classification", classes: int = 10
) -> Augmenter:
    facts = Facts(inputs, task, classes, lambda name: [])
    return Augmenter(AugmentationConfig.model_validate(steps), facts, seed=7)


# -- what it is good for ----------------------------------------------------------------------------------------------


def digits(rows: np.ndarray, images: np.ndarray) -> Split:
    label = datasets.load_digits().target[rows][:, None]
    columns = Columns(PICTURE, images.reshape(-1, 64).astype("float32"), np.zeros((len(rows), 0), np.int64), label)
    return Split("", len(rows), PICTURE, "multiclass_classification", False, columns)


def off_the_middle(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return images moved by one pixel each, in one of four directions."""
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1)])
    places = np.array([(0, 1), (2, 1), (1, 0), (1, 2)])[random.integers(0, 4, len(images))]
    return np.stack([image[y : y + 8, x : x + 8] for image, (y, x) in zip(padded, places, strict=True)])


def a_small_network() -> keras.Model:
    return Mlp(hidden_units=(48,)).build(PICTURE, "multiclass_classification", 10)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shifted_and_turned_digits_teach_to_read_digits_that_are_off_the_middle(seed: int):
    random = np.random.default_rng(seed)
    images = datasets.load_digits().images / 16
    order = random.permutation(len(images))
    few, held_out = order[:100], order[100:900]
    train, evaluation = digits(few, images[few]), digits(held_out, off_the_middle(images[held_out], random))
    config = TrainingConfig.model_validate(
        {
            "epochs": 20,
            "batch_size": 20,
            "seed": seed,
            "strategy": "none",
            "optimizer": {"adam": {"learning_rate": 0.01}},
        }
    )
    steps = [
        {"random_shift": {"factor": 0.125, "fill_mode": "constant"}},
        {"random_rotation": {"factor": 0.02, "fill_mode": "constant"}},
    ]
    accuracy = {}
    for name, augment in (("without", None), ("with", augmenter(steps, PICTURE))):
        result = fit(a_small_network, config, "multiclass_classification", replace(train, augment=augment), evaluation)
        accuracy[name] = result.epochs[-1]["val_accuracy"]
    assert accuracy["with"] > accuracy["without"] + 0.1, accuracy


# -- the same batches -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("split") / "Split-train"
    random = np.random.default_rng(0)
    columns = {
        "fare": random.normal(size=203).astype("float32"),
        "hour": random.integers(0, 24, 203),
        LABEL: random.integers(0, 2, 203),
        WEIGHT: np.full(203, 3.0, "float32"),
    }
    with ExampleWriter(str(path)) as writer:
        writer.write(encode_examples(pa.RecordBatch.from_pydict(columns)))
    return str(path)


def table(folder: str, cache: str, steps: Sequence[Any] = STEPS, *, weighted: bool = True) -> Split:
    split = open_split(folder, TABLE, "binary_classification", 2, weighted=weighted, cache=cache)  # type: ignore[arg-type]
    return replace(split, augment=augmenter(steps, TABLE, "binary_classification", 2)) if steps else split


def batches(dataset: Any) -> list[list[np.ndarray]]:
    return [
        [*(features[each].numpy() for each in sorted(features)), *(each.numpy() for each in rest)]
        for features, *rest in dataset
    ]


def equal(first: list[list[np.ndarray]], second: list[list[np.ndarray]]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(np.array_equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("cache", ["always", "never"])
def test_a_run_that_goes_on_gets_the_batches_it_would_have_got(folder: str, cache: str):
    whole, order = training_dataset(table(folder, cache), 50, EpochOrder(7)), EpochOrder(7)
    whole = training_dataset(table(folder, cache), 50, order)
    epochs = []
    for order.epoch in range(3):
        epochs.append(batches(whole))
    later = EpochOrder(7)
    later.epoch = 2
    assert equal(batches(training_dataset(table(folder, cache), 50, later)), epochs[2])
    assert not equal(epochs[0], epochs[1])
    assert not equal(epochs[1], epochs[2])
    assert len(epochs[0]) == 5


@pytest.mark.parametrize("cache", ["always", "never"])
def test_only_values_change_not_which_rows_come_when(folder: str, cache: str):
    plain = batches(training_dataset(table(folder, cache, ()), 50, EpochOrder(7)))
    changed = batches(training_dataset(table(folder, cache), 50, EpochOrder(7)))
    for (fare, hour, label, weight), (new_fare, new_hour, new_label, new_weight) in zip(plain, changed, strict=True):
        np.testing.assert_array_equal(label, new_label)
        np.testing.assert_array_equal(weight, new_weight)
        assert (np.abs(fare - new_fare) > 0).all()
        assert 0.1 < (hour != new_hour).mean() < 0.6
        assert set(new_hour[hour != new_hour]) == {23}


@pytest.mark.parametrize("cache", ["always", "never"])
def test_two_batches_of_an_epoch_and_two_steps_of_one_kind_draw_differently(folder: str, cache: str):
    noises = []
    for steps in ([{"noise": 0.1}], [{"noise": 0.1}, {"noise": 0.1}]):
        split = table(folder, cache, steps)
        plain = batches(training_dataset(replace(split, augment=None), 50, EpochOrder(7)))
        changed = batches(training_dataset(split, 50, EpochOrder(7)))
        noises.append([new[0] - old[0] for old, new in zip(plain[:4], changed[:4], strict=True)])
    once, twice = noises
    assert not np.allclose(once[0], once[1], atol=1e-3)
    assert not np.allclose(twice[0], 2 * once[0], atol=1e-3)


@pytest.mark.parametrize("cache", ["always", "never"])
def test_evaluation_is_untouched(folder: str, cache: str):
    split = table(folder, cache)
    assert equal(batches(evaluation_dataset(split, 64)), batches(evaluation_dataset(table(folder, cache, ()), 64)))
    share = Batches(split, 64, Share(0, 1, 2))
    plain = Batches(replace(split, augment=None), 64, Share(0, 1, 2))
    for one, other in zip(
        shared_evaluation_dataset(share).take(share.steps), shared_evaluation_dataset(plain), strict=False
    ):
        np.testing.assert_array_equal(one["features"]["fare"], other["features"]["fare"])


@pytest.mark.parametrize("cache", ["always", "never"])
def test_copies_that_share_a_batch_draw_by_themselves_and_go_on_alike(folder: str, cache: str):
    split, order = table(folder, cache), EpochOrder(7)

    def taken(which: Split, first: int, copy: int, skip: int = 0) -> list[np.ndarray]:
        dataset = shared_training_dataset(Batches(which, 50, Share(copy, 1, 2)), order, first)
        return [each["features"]["fare"].numpy() for each in dataset.skip(skip).take(5)]

    steps = Batches(split, 50, Share(0, 1, 2)).steps
    for one, other in zip(taken(split, 0, 0, skip=steps), taken(split, 1, 0), strict=True):
        np.testing.assert_array_equal(one, other)
    plain = replace(split, augment=None)
    drawn = [np.stack(taken(split, 0, copy)) - np.stack(taken(plain, 0, copy)) for copy in (0, 1)]
    assert not np.isclose(drawn[0], drawn[1], atol=1e-4).all()


# -- labels between the classes ---------------------------------------------------------------------------------------

LOSSES: dict[str, dict[str, Any]] = {
    "plain": {},
    "focal": {"loss": "focal"},
    "weighted": {"class_weights": {"0": 1.0, "1": 3.0, "2": 0.5}},
    "focal_weighted": {"loss": "focal", "class_weights": {"0": 1.0, "1": 3.0, "2": 0.5}},
}


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("task", ["binary_classification", "multiclass_classification"])
def test_the_loss_of_a_mixed_label_is_the_mixed_loss_of_both_labels(task: Task, kind: str):
    classes = 2 if task == "binary_classification" else 3
    written = dict(LOSSES[kind])
    if "class_weights" in written:
        written["class_weights"] = {name: written["class_weights"][name] for name in map(str, range(classes))}
    config = TrainingConfig.model_validate(written)
    random = np.random.default_rng(1)
    output = tf.constant(
        random.uniform(0.05, 0.95, (40, 1)) if classes == 2 else random.dirichlet(np.ones(3), 40), tf.float32
    )
    first, second = (random.integers(0, classes, (40, 1)) for _ in range(2))
    share = random.uniform(size=(40, 1)).astype("float32")
    hot = [
        each.astype("float32") if classes == 2 else np.eye(3, dtype="float32")[each[:, 0]] for each in (first, second)
    ]
    loss, plain = objective.loss(task, config, mixed=True), objective.loss(task, config)
    loss.reduction = plain.reduction = "none"
    parts = [plain(tf.constant(each), output).numpy().reshape(-1) for each in (first, second)]
    expected = share[:, 0] * parts[0] + (1 - share[:, 0]) * parts[1]
    np.testing.assert_allclose(loss(tf.constant(share * hot[0] + (1 - share) * hot[1]), output), expected, rtol=1e-4)
    # the eval split has classes
    np.testing.assert_allclose(loss(tf.constant(first), output).numpy().reshape(-1), parts[0], rtol=1e-4)


@pytest.mark.parametrize("task", ["binary_classification", "multiclass_classification"])
def test_a_mixed_label_counts_as_its_nearest_class_in_the_metrics(task: Task):
    if task == "binary_classification":
        soft, hard, output = [[0.8], [0.3], [0.6]], [[1], [0], [1]], [[0.9], [0.2], [0.3]]
    else:
        soft, hard = [[0.8, 0.2, 0.0], [0.0, 0.4, 0.6], [0.1, 0.9, 0.0]], [[0], [2], [1]]
        output = [[0.9, 0.1, 0.0], [0.1, 0.8, 0.1], [0.0, 1.0, 0.0]]
    for mixed, plain in zip(objective.metrics(task, mixed=True), objective.metrics(task), strict=True):
        plain.update_state(tf.constant(hard), tf.constant(output))
        for labels in (tf.constant(soft), tf.constant(hard)):
            mixed.reset_state()
            mixed.update_state(labels, tf.constant(output))
            assert float(mixed.result()) == pytest.approx(float(plain.result()))
        assert mixed.name == plain.name


@pytest.mark.parametrize("together", [False, True])
def test_mix_up_trains_and_makes_a_model_less_sure_of_itself(together: bool):
    images = datasets.load_digits().images / 16
    few, held_out = np.arange(200), np.arange(200, 800)
    train, evaluation = digits(few, images[few]), digits(held_out, images[held_out])
    config = TrainingConfig.model_validate(
        {"epochs": 15, "batch_size": 20, "strategy": "none", "optimizer": {"adam": {"learning_rate": 0.01}}}
    )
    sure, accuracy = [], []
    for augment in (None, augmenter([{"mix_up": 1}], PICTURE)):
        one = tf.distribute.MirroredStrategy(["CPU:0"])
        places = Places(distribution=Distribution(one, 1, share=Share(0, 1, 1)) if together else None)
        trained = fit(
            a_small_network, config, "multiclass_classification", replace(train, augment=augment), evaluation, places
        )
        predicted = trained.model.predict({"picture": images[held_out][..., None]}, verbose=0)
        sure.append(float(predicted.max(axis=1).mean()))
        accuracy.append((trained.epochs[-1]["accuracy"], trained.epochs[-1]["val_accuracy"]))
    assert sure[1] < sure[0] - 0.05
    assert all(value > 0.7 for pair in accuracy for value in pair), accuracy


# -- the Trainer as a whole -------------------------------------------------------------------------------------------

TRAINING = {"epochs": 3, "batch_size": 128, "strategy": "none", "tensorboard": False}
MODEL = {"family": "mlp", "hidden_units": [8]}


@pytest.fixture(scope="module")
def taxi(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return make_artifacts(tmp_path_factory.mktemp("taxi"), "binary_classification", rows=2000)


def trained(artifacts: Artifacts, output: Path, steps: Sequence[Any] = (), **training: Any) -> dict[str, Any]:
    given = job_arguments(artifacts, output, MODEL, {**TRAINING, **training})
    if steps:
        given["config"]["augmentation"] = AugmentationConfig.model_validate(steps).model_dump(mode="json")
    run_job(Job(**given))
    return dict(json.loads((output / "run" / "history.json").read_text()))


def test_the_served_model_knows_nothing_of_augmentation(taxi: Artifacts, tmp_path: Path):
    plain, changed = trained(taxi, tmp_path / "plain"), trained(taxi, tmp_path / "changed", STEPS)
    again = trained(taxi, tmp_path / "again", STEPS)
    losses = [[each["loss"] for each in history["epochs"]] for history in (plain, changed, again)]
    assert losses[0] != losses[1]
    assert losses[1] == losses[2]
    records = tf.constant(next(iter(read_records(taxi.raw / "Split-eval"))).to_pylist())
    for output in ("plain", "changed"):
        folder = tmp_path / output / "model" / "Format-Serving"
        served = tf.saved_model.load(str(folder)).signatures
        operations = {
            node.op
            for signature in served.values()
            for graph in [signature.graph.as_graph_def()]
            for node in [*graph.node, *(each for function in graph.library.function for each in function.node_def)]
        }
        assert not {each for each in operations if "Random" in each}
        first, second = (served["serving_default"](examples=records)["probability"].numpy() for _ in range(2))
        np.testing.assert_array_equal(first, second)
        model = keras.models.load_model(tmp_path / output / "model" / "model.keras", compile=False)
        transformed = served["transform_features"](examples=records)
        inputs = {each: transformed[each] for each in taxi.columns["features"]}
        np.testing.assert_allclose(np.asarray(model(inputs, training=False))[:, 0], first, atol=1e-6)


def test_mixing_reaches_an_exported_model(tmp_path: Path):
    cancer = thinned_cancer(tmp_path / "cancer")
    slow = {"epochs": 20, "batch_size": 32, "optimizer": {"adam": {"learning_rate": 0.01}}}
    history = trained(cancer, tmp_path / "mixed", [{"mix_up": {"alpha": 0.4}}, "noise"], **slow)
    assert history["epochs"][-1]["val_auc"] > 0.9
    assert history["epochs"][-1]["auc"] > 0.8


def test_synonyms_have_the_ids_that_transform_gave_the_words(tmp_path: Path):
    texts = ["a big red mat", "the large cat", "a huge cat on a mat", "red", "crimson cat"] * 4
    batch = pa.record_batch({"text": texts, "target": np.arange(20, dtype="float32")})
    chains = {"text": [{"tokenize": "words"}, {"token_ids": {"length": 8, "top_k": 12, "oov_buckets": 2}}]}
    made = run_in_process(tmp_path, config_of({"text": "text"}, chains), {"train": batch, "eval": batch})
    (text,) = model_inputs(made.graph)
    words = words_of(str(made.graph), text)
    ids = made.values()["text"]
    assert [" ".join(words[each] or "?" for each in row if each) for row in ids] == texts
    assert len(words) == text.cardinality
    steps = AugmentationConfig.model_validate([{"synonym_replacement": {"thesaurus": "words.tsv", "share": 0.9}}])
    facts = Facts((text,), "regression", 1, lambda name: words, {"words.tsv": "big\thuge\nred\tcrimson\n"})
    changed, _ = Augmenter(steps, facts, 0)(({"text": tf.constant(ids)}, tf.zeros([20, 1])), 0, 0)
    read = [" ".join(words[each] or "?" for each in row if each) for row in changed["text"].numpy()]
    assert read == [each.replace("big", "huge").replace("red", "crimson") for each in texts]


def test_words_without_a_list_of_them_have_no_synonyms(taxi: Artifacts):
    with pytest.raises(ComponentError, match="chain of 'trip_miles' keeps no list of its words"):
        words_of(str(taxi.graph), ModelInput("trip_miles", "int64", (8,), 10))


def test_a_step_that_does_not_fit_stops_the_trainer_and_says_which(taxi: Artifacts, tmp_path: Path):
    with pytest.raises(ComponentError, match="mix_up with input 'company', which holds ids") as caught:
        trained(taxi, tmp_path, [{"noise": 0.1}, "mix_up"])
    assert caught.value.spec_path == "augmentation.1"
    with pytest.raises(ComponentError, match="Got random_flip without an input for it; expected random_flip takes"):
        trained(taxi, tmp_path, ["random_flip"])


def test_images_outside_the_value_range_are_refused_before_they_are_cut_off():
    augment = augmenter([{"random_brightness": 0.1}], PICTURE)
    augment.check({"picture": datasets.load_digits().images[..., None] / 16})
    with pytest.raises(ComponentError, match="with values from 0 to 16; expected values in value_range") as caught:
        augment.check({"picture": datasets.load_digits().images[..., None]})
    assert caught.value.remedy == "Write value_range: [0, 255]."
    with pytest.raises(ComponentError, match="from -0.5 to 0.5; expected values in value_range"):
        augment.check({"picture": datasets.load_digits().images[..., None] / 16 - 0.5})


@pytest.mark.parametrize(
    ("step", "inputs", "message"),
    [
        ({"random_hue": 0.1}, PICTURE, r"random_hue on 'picture', which has 1 channel\(s\)"),
        ({"random_shift": 0.05}, PICTURE, "factor 0.05 of 8 pixels of 'picture'; expected at least one pixel"),
        ({"window_slicing": 0.5}, (ModelInput("pair", "float32", (2,)),), "'pair', a series of 2 step"),
        ("cut_mix", (*PICTURE, ModelInput("other", "float32", (8, 8, 1))), "cut_mix with 2 inputs of images"),
    ],
)
def test_shapes_that_a_step_cannot_work_on_are_refused(step: Any, inputs: tuple[ModelInput, ...], message: str):
    with pytest.raises(ComponentError, match=message):
        augmenter([step], inputs)


def test_an_empty_value_range_is_refused():
    with pytest.raises(ValueError, match=r"value_range \[1, 0\] is empty; write the lower value first"):
        AugmentationConfig.model_validate([{"random_contrast": {"value_range": [1, 0]}}])
