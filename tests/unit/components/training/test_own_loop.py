"""A training step of the user's own: the same weights as Sluice's where it does the same, and its lines in errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.errors import ComponentError, SpecError
from components.training.check import check_before_run
from components.training.combinations import refused, refused_with_own_loop
from components.training.config import TrainingConfig
from components.training.fit import FitResult
from components.training.own_loop import OwnStep
from components.training.places import Places
from pipelines.build import pipeline_nodes
from pipelines.spec import load_spec
from tests.factories import tumours
from tests.factories.tumours import same

OWN = Path(__file__).parents[3] / "factories" / "own_models"
SOURCE = (OWN / "loop.py").read_text()


def train(
    folders: dict[str, str], source: str | None = SOURCE, folder: Path | None = None, **training: Any
) -> FitResult:
    """Fit with a step of one's own; without a source, with Sluice's."""
    parameters = training.pop("parameters", {})
    if source is None:
        return tumours.train(folders, Places(checkpoint_folder=folder), **training)
    training["loop"] = {"module": "loop.py", "parameters": parameters}
    step = OwnStep.of(TrainingConfig.model_validate({"loop": training["loop"]}), {"loop_source": source}, None)
    return tumours.train(folders, Places(checkpoint_folder=folder, step=step), **training)


@pytest.fixture(scope="module")
def own(folders: dict[str, str]) -> FitResult:
    return train(folders)


@pytest.fixture(scope="module")
def builtin(folders: dict[str, str]) -> FitResult:
    return train(folders, None)


def test_a_step_that_does_what_sluice_does_gives_the_same_weights(own: FitResult, builtin: FitResult):
    """With dropout, on rows in the same order: to the last bit."""
    assert same(own, builtin)
    for one, other in zip(own.epochs, builtin.epochs, strict=True):
        for name in other.keys() - {"seconds"}:
            assert one[name] == pytest.approx(other[name], rel=1e-5), name


def test_what_the_step_returns_is_in_the_history(own: FitResult, builtin: FitResult):
    norms = [epoch["gradient_norm"] for epoch in own.epochs]
    assert norms[0] > norms[-1] > 0
    assert not [name for name in own.epochs[0] if name.startswith("val_gradient")]
    assert "gradient_norm" not in builtin.epochs[0]


def test_what_the_history_has_is_the_mean_over_the_steps_of_an_epoch(folders: dict[str, str]):
    """400 rows are 7 batches of 64, the last of 16 rows."""
    source = "def train_step(model, optimizer, loss, batch):\n    model_value = model(batch['features'])\n"
    source += "    loss(batch, model_value)\n    return {'rows_of_the_batch': batch['rows']}\n"
    result = train(folders, source, epochs=2, steps_per_execution=3)
    assert [epoch["rows_of_the_batch"] for epoch in result.epochs] == pytest.approx([400 / 7] * 2)


def test_parameters_reach_the_step(folders: dict[str, str], builtin: FitResult):
    """Without a gradient the weights stay what they were; plain descent with half of it is half the rate."""
    still = train(folders, parameters={"factor": 0.0}, epochs=1, optimizer={"sgd": {"learning_rate": 0.1}})
    assert still.epochs[0]["gradient_norm"] == 0
    half = train(folders, parameters={"factor": 0.5}, optimizer={"sgd": {"learning_rate": 0.2}})
    whole = train(folders, None, optimizer={"sgd": {"learning_rate": 0.1}})
    for one, other in zip(half.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert not same(still, builtin)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": {"adamw": {"learning_rate": 0.01}}, "weight_decay": 0.1},
        {"gradient_clipping": {"value": 0.001}, "optimizer": {"sgd": {"learning_rate": 1.0}}},
        {"class_weights": {"0": 5, "1": 1}},
        {"loss": {"focal": {"gamma": 2}}, "label_smoothing": 0.1},
        {"weighted": True},
        {"steps_per_execution": 3, "cache": "never"},
        {"precision": "mixed_bfloat16"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_other_options_are_obeyed_as_without_it(folders: dict[str, str], options: dict[str, Any]):
    one, other = train(folders, **options), train(folders, None, **options)
    for left, right in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=5e-3 if "precision" in options else 1e-5)


def test_it_stops_early_and_keeps_the_best_weights(folders: dict[str, str]):
    rate = {"sgd": {"learning_rate": 0.5, "momentum": 0.95}}
    result = train(folders, epochs=60, early_stopping={"patience": 3}, optimizer=rate)
    losses = [each["val_loss"] for each in result.epochs]
    assert len(losses) == result.best_epoch + 3 < 60
    assert losses[result.best_epoch - 1] == min(losses)


def test_it_goes_on_where_it_was_cut_off(folders: dict[str, str], own: FitResult, tmp_path: Path):
    stops = SOURCE + "\n\nimport tensorflow as tf\ncalls = []\n"
    stops = stops.replace("    variables = ", "    tf.py_function(count, [], [])\n    variables = ", 1)
    stops += "\ndef count():\n    calls.append(1)\n    if len(calls) > 16:\n        raise RuntimeError('cut off')\n"
    with pytest.raises(Exception, match="cut off"):
        train(folders, stops, tmp_path)
    again = train(folders, folder=tmp_path)
    assert again.resumed_from_epoch == 2
    assert same(again, own)


STEP = "def train_step(model, optimizer, loss, batch):\n"
CALL = "    value = loss(batch, model(batch['features'], training=True))\n"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SOURCE.replace("model.trainable_variables", "model.trainable_variabels"), r"loop.py:7: AttributeError.*abels"),
        (SOURCE.replace('batch["features"]', 'batch["feature"]'), "loop.py:9: KeyError: 'feature'"),
        (STEP + "    return {}\n", r"never called loss\(batch, predictions\)"),
        (STEP + CALL + "    return value\n", "train_step in loop.py returned .*Tensor"),
        (STEP + CALL + "    return {'loss': value}\n", "returned 'loss', which the history has already"),
        (
            STEP + CALL + "    return {'many': batch['label']}\n",
            "'many', which is int64 of shape .*; expected a number",
        ),
        (STEP + CALL + "    return {'word': 'x'}\n", "'word', which is string of shape"),
    ],
    ids=["attribute", "key", "no loss", "returns", "taken", "shape", "text"],
)
def test_a_mistake_in_the_step_is_told_with_its_place(folders: dict[str, str], source: str, message: str):
    with pytest.raises(ComponentError, match=message) as caught:
        train(folders, source, epochs=1)
    assert caught.value.spec_path == "training.loop.function"
    assert caught.value.remedy


def test_a_step_without_its_file_or_beside_a_step_of_the_model_is_refused(folders: dict[str, str]):
    with pytest.raises(ComponentError, match="cannot be used here"):
        tumours.train(folders, loop={"module": "loop.py"})
    config = {
        "training": TrainingConfig.model_validate({"loop": {"module": "loop.py"}}).model_dump(mode="json"),
        "loop_source": SOURCE,
        "model": {"module": "subclassed.py", "builder": "build", "parameters": {}},
        "module_source": (OWN / "subclassed.py").read_text(),
        "task": "binary_classification",
    }
    (problem,) = check_before_run(config, None, tumours.INPUTS)
    assert "has its own train_step, and training.loop names another step" in str(problem)
    config |= {"module_source": (OWN / "functional.py").read_text()}
    assert check_before_run(config, None, tumours.INPUTS) == []


def test_a_file_that_cannot_be_run_is_found_before_the_run():
    config = {
        "training": TrainingConfig.model_validate({"loop": {"module": "loop.py"}}).model_dump(mode="json"),
        "loop_source": SOURCE.replace("import tensorflow", "import tensorflaw"),
        "model": {"family": "mlp"},
        "task": "binary_classification",
    }
    (problem,) = check_before_run(config)
    assert problem.where == "training.loop.module"
    assert "loop.py:3: ModuleNotFoundError" in str(problem)


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"gradient_accumulation": 2}, "gradient_accumulation", "decides when it applies gradients"),
        ({"jit_compile": True}, "jit_compile", "tf.function.jit_compile=True."),
        ({"strategy": "mirrored", "gradient_clipping": {"norm": 1}}, "gradient_clipping", "each copy would clip"),
        ({"strategy": "multi_worker", "precision": "mixed_float16"}, "precision", "copies could disagree"),
    ],
)
def test_options_that_do_not_go_with_it_are_refused(options: dict[str, Any], option: str, message: str):
    config = TrainingConfig.model_validate({"loop": {"module": "loop.py"}, **options})
    (found,) = refused(config, "regression")
    assert found[0] == option
    assert message.replace(".", "") in " ".join(found).replace(".", "").replace("(", "").replace(")", "")
    assert list(refused(TrainingConfig.model_validate({"loop": {"module": "loop.py"}}), "regression")) == []
    assert list(refused_with_own_loop(config, several=False)) == ([] if "strategy" in options else [found])


SPEC = (
    "name: own\ntask: regression\ndata: {path: x.csv, label: fare, features: {miles: numeric}}\n"
    "model: {family: mlp}\ntraining:\n  loop: {module: loop.py, parameters: {factor: 2}}\n"
)


@pytest.mark.parametrize(
    ("source", "where", "message"),
    [
        (None, "training.loop.module", r"pipeline.yaml:6: .*'loop.py', which is not there"),
        (SOURCE.replace("def train_step(", "def step("), "training.loop.function", "Define train_step.model, opt"),
        (SOURCE.replace(", factor=1.0", ""), "training.loop.parameters.factor", "loop.py:6.*takes no parameters"),
        (SOURCE.replace("loss, batch, factor=1.0", "*, factor"), "training.loop.function", "loop.py:6.*got train"),
        (SOURCE + "\nx = tf.keras.layers.Lambda(abs)\n", "training.loop.module", "loop.py:14.*a Lambda layer"),
    ],
)
def test_the_file_is_checked_while_the_spec_is_read(tmp_path: Path, source: str | None, where: str, message: str):
    (tmp_path / "pipeline.yaml").write_text(SPEC)
    if source is not None:
        (tmp_path / "loop.py").write_text(source)
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(tmp_path / "pipeline.yaml")
    assert where in {problem.where for problem in caught.value.problems}


def test_the_trainer_is_given_the_file_so_that_a_change_of_it_is_a_new_training(tmp_path: Path):
    (tmp_path / "pipeline.yaml").write_text(SPEC)
    (tmp_path / "loop.py").write_text(SOURCE)
    (trainer,) = (each for each in pipeline_nodes(load_spec(tmp_path / "pipeline.yaml")) if each.name == "Trainer")
    assert trainer.config["loop_source"] == SOURCE
    assert trainer.config["training"]["loop"]["parameters"] == {"factor": 2}
