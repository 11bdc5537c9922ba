"""Class weights and focal loss on scikit-learn's breast cancer data, of which few malignant tumours are left."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_class_weight

from components.errors import ComponentError
from components.training import objective
from components.training.calibration import Correction, correction
from components.training.class_weights import with_class_ids
from components.training.columns import load_columns
from components.training.config import TrainingConfig
from components.training.input_fn import open_split
from components.transform.outputs import model_inputs
from tests.factories.balanced import MODEL, TRAINING, served, thinned_cancer, train
from tests.factories.trainer_artifacts import Artifacts

REPOSITORY = Path(__file__).parents[2]
EPOCHS = {"epochs": 40, "batch_size": 32}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "balanced": {"class_weights": "balanced"},
    "named": {"class_weights": {1: 7}},
    "focal": {"loss": "focal"},
    "focal_alpha": {"loss": {"focal": {"gamma": 2, "alpha": 0.9}}},
    "focal_balanced": {"loss": "focal", "class_weights": "balanced"},
}


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return thinned_cancer(tmp_path_factory.mktemp("cancer"))


@dataclasses.dataclass(frozen=True)
class Told:
    """What a trained model says to the eval split.

    Args:
        served: the exported model's probabilities.
        bare: the Keras model's.
        label: what is true.
        notes: of the training.
    """

    served: np.ndarray
    bare: np.ndarray
    label: np.ndarray
    notes: list[str]


def trained(cancer: Artifacts, output: Path, **training: Any) -> Told:
    history = train(cancer, output, **EPOCHS, **training)
    inputs = model_inputs(cancer.graph)
    columns = load_columns(str(cancer.transformed / "Split-eval"), inputs, "binary_classification", weighted=False)
    model = keras.models.load_model(output / "model" / "model.keras")
    bare = np.asarray(model(columns.features(columns.dense, columns.ids), training=False))[:, 0]
    probability, label = served(cancer, output)
    return Told(probability, bare, label, history["notes"])


@pytest.fixture(scope="module")
def told(cancer: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    root = tmp_path_factory.mktemp("trained")
    return {name: trained(cancer, root / name, **training) for name, training in KINDS.items()}


def test_the_rare_class_is_found_more_often(told: dict[str, Told]) -> None:
    recall = {name: recall_score(each.label, each.bare > 0.5) for name, each in told.items()}
    assert recall["plain"] < 0.5
    for name in ("balanced", "named", "focal_alpha", "focal_balanced"):
        assert recall[name] > recall["plain"] + 0.2, name


@pytest.mark.parametrize("name", [name for name in KINDS if name != "plain"])
def test_the_served_probabilities_are_true_and_those_of_the_bare_model_are_not(
    told: dict[str, Told], name: str
) -> None:
    found = told[name]
    base = found.label.mean()
    assert abs(found.served.mean() - base) < 0.04
    assert found.bare.mean() - base > 0.06
    assert ((found.served - found.label) ** 2).mean() < ((found.bare - found.label) ** 2).mean()
    assert (np.diff(found.served[np.argsort(found.bare)]) > -1e-6).all()
    assert found.notes == []


def test_without_weights_nothing_is_corrected(told: dict[str, Told]) -> None:
    np.testing.assert_allclose(told["plain"].served, told["plain"].bare, atol=1e-6)


def test_without_correction_the_bare_model_is_served_and_a_note_says_so(cancer: Artifacts, tmp_path: Path) -> None:
    found = trained(cancer, tmp_path, **KINDS["balanced"], correct_probabilities=False)
    np.testing.assert_allclose(found.served, found.bare, atol=1e-6)
    what = "class weights and loss and not corrected (training.correct_probabilities: false)"
    assert found.notes == [f"predicted probabilities are moved by {what}"]


@pytest.mark.parametrize("cache", ["always", "never"])
def test_balanced_weights_are_scikit_learns(cancer: Artifacts, cache: Any) -> None:
    folder = str(cancer.transformed / "Split-train")
    split = open_split(folder, model_inputs(cancer.graph), "binary_classification", 2, cache=cache)
    found = with_class_ids(TrainingConfig(class_weights="balanced"), split, ("0", "1")).class_weights
    label = open_split(folder, split.inputs, "binary_classification", 2, cache="always").columns.label.ravel()
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=label)
    assert isinstance(found, dict)
    np.testing.assert_allclose(list(found.values()), expected)


def test_balanced_weights_count_a_row_as_much_as_it_weighs(cancer: Artifacts) -> None:
    folder = str(cancer.transformed / "Split-train")
    split = open_split(folder, model_inputs(cancer.graph), "binary_classification", 2, cache="always")
    weight = np.where(split.columns.label.ravel() == 1, 10.0, 1.0)
    heavy = dataclasses.replace(split, weighted=True, columns=dataclasses.replace(split.columns, weight=weight))
    found = with_class_ids(TrainingConfig(class_weights="balanced"), heavy, ("0", "1")).class_weights
    label = split.columns.label.ravel()
    assert found["1"] * 10 * (label == 1).sum() == pytest.approx(found["0"] * (label == 0).sum())


def test_a_class_that_is_not_there_is_answered_with_the_nearest_one(cancer: Artifacts) -> None:
    folder = str(cancer.transformed / "Split-train")
    split = open_split(folder, model_inputs(cancer.graph), "binary_classification", 2)
    config = TrainingConfig(class_weights={"malignent": 3.0})
    with pytest.raises(ComponentError, match="names class 'malignent', which the train split does not have") as error:
        with_class_ids(config, split, ("benign", "malignant"))
    assert error.value.spec_path == "training.class_weights"
    assert error.value.remedy == "Did you mean 'malignant'?"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"class_weights": "equal"}, "balanced, or a weight for each class"),
        ({"class_weights": {}}, "a weight for at least one class"),
        ({"class_weights": {"1": 0}}, "greater than 0"),
        ({"loss": "focale"}, "auto, focal or focal"),
        ({"loss": {"focal": {"gamma": -1}}}, "greater than or equal to 0"),
        (
            {"loss": {"focal": {"alpha": 0.3}}, "class_weights": "balanced"},
            "class_weights or loss.focal.alpha, not both",
        ),
    ],
)
def test_what_cannot_be_is_refused(written: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingConfig.model_validate(written)


def test_weights_that_nobody_resolved_are_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="resolved to ids first"):
        objective.loss("binary_classification", TrainingConfig(class_weights="balanced"))


def test_the_focal_loss_of_several_classes_is_lins() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1, 1, 1], 50).astype(np.float32)
    label = random.integers(3, size=(50, 1))
    config = TrainingConfig.model_validate({"loss": {"focal": {"gamma": 1.5}}, "class_weights": {0: 1, 1: 2, 2: 5}})
    found = objective.loss("multiclass_classification", config)(label, probabilities)
    own = probabilities[np.arange(50), label[:, 0]]
    expected = (np.array([1, 2, 5])[label[:, 0]] * -((1 - own) ** 1.5) * np.log(own)).mean()
    assert float(found) == pytest.approx(expected, rel=1e-5)
    flat = TrainingConfig.model_validate({"loss": {"focal": {"gamma": 0}}})
    plain, focal = (objective.loss("multiclass_classification", each)(label, probabilities) for each in (None, flat))
    assert float(plain) == pytest.approx(float(focal), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_the_correction_of_the_focal_loss_finds_the_probability_that_minimizes_it(gamma: float) -> None:
    """The output that minimizes the loss over rows of which 30 % are positive must be corrected to 0.3."""
    grid = np.linspace(0.001, 0.999, 9981)
    weight = 4.0
    risk = -weight * 0.3 * (1 - grid) ** gamma * np.log(grid) - 0.7 * grid**gamma * np.log(1 - grid)
    best = np.float32(grid[risk.argmin()])
    assert abs(best - 0.3) > 0.05
    config = TrainingConfig.model_validate({"loss": {"focal": {"gamma": gamma}}, "class_weights": {0: 1, 1: weight}})
    found = correction(config, None, 2).apply(keras.ops.convert_to_tensor([[best]]))
    assert float(found[0, 0]) == pytest.approx(0.3, abs=2e-3)


def test_certain_predictions_stay_certain() -> None:
    found = Correction((1.8, 0.2), 2.0).apply(keras.ops.convert_to_tensor([[0.0], [1.0]])).numpy().ravel()
    assert found.tolist() == pytest.approx([0, 1], abs=1e-4)


PROGRAM = """
import json, sys
import tensorflow as tf

from components.model.families.mlp import Mlp
from components.training.class_weights import with_class_ids
from components.training.config import TrainingConfig
from components.training.distribution import Distribution
from components.training.fit import fit
from components.training.places import Places
from components.training.input_fn import open_split
from components.training.shares import Share
from components.transform.outputs import model_inputs

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
folder, graph, training = sys.argv[1:]
inputs = model_inputs(graph)
split = open_split(folder, inputs, "binary_classification", 2)
config = with_class_ids(TrainingConfig.model_validate(json.loads(training)), split, ("0", "1"))
found = []
for copies in (1, 2):
    strategy = tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(copies)])
    together = Distribution(strategy, copies, share=Share(0, copies, copies)) if copies > 1 else Distribution()
    build = lambda: Mlp(hidden_units=(8,)).build(inputs, "binary_classification", 2)
    result = fit(build, config, "binary_classification", split, split, Places(distribution=together))
    found.append([weight.ravel().tolist() for weight in result.model.get_weights()])
print("RESULT", json.dumps(found))
"""


@pytest.mark.parametrize("kind", ["focal_alpha", "focal_balanced"])
def test_several_copies_learn_what_one_learns(cancer: Artifacts, kind: str) -> None:
    """The loop of several workers and Keras's `fit` obey weights and loss alike."""
    training = json.dumps({**TRAINING, **KINDS[kind], "epochs": 3, "batch_size": 32})
    command = [sys.executable, "-c", PROGRAM, str(cancer.transformed / "Split-train"), str(cancer.graph), training]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240)
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stderr[-3000:]
    one, two = json.loads(results[0].removeprefix("RESULT "))
    for left, right in zip(one, two, strict=True):
        assert right == pytest.approx(left, abs=1e-4)


def test_two_workers_export_what_one_process_exports(cancer: Artifacts, tmp_path: Path) -> None:
    """The Balancer's counts and the weights reach the chief of real worker processes."""
    from components.balancing.class_counts import ClassCounts
    from components.training.job import Job
    from components.training.launch import launch
    from tests.factories.balanced import run_balancer
    from tests.factories.trainer_artifacts import job_arguments

    run_balancer(cancer, tmp_path / "balanced", [{"smote": 0.6}])
    kept = {"class_weights": {"1": 2}, "epochs": 5, "batch_size": 32}
    train(cancer, tmp_path / "one", tmp_path / "balanced", **kept)
    given = job_arguments(cancer, tmp_path / "two", MODEL, {**TRAINING, **kept, "strategy": "multi_worker"})
    given |= {
        "train_folder": str(tmp_path / "balanced" / "Split-train"),
        "class_counts": ClassCounts.read(tmp_path / "balanced"),
        "runtime": {"root": str(tmp_path / "two"), "trainer_key": "key", "workers": 2},
    }
    launch(Job(**given))
    one, two = (served(cancer, tmp_path / name)[0] for name in ("one", "two"))
    np.testing.assert_allclose(one, two, atol=2e-4)
    assert one.mean() < 0.2
