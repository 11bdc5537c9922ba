"""What is found out about model and training before the first component runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.features import FeatureKind, ModelInput
from components.training.check import check_before_run
from components.training.config import OPTIMIZERS, TrainingConfig
from components.transform.config import TransformConfig

BUILD = "def build(inputs, task, num_classes):\n    raise RuntimeError('is not called')\n"


def config(training: dict[str, Any] | None = None, model: dict[str, Any] | None = None, source: str | None = None):
    return {
        "training": TrainingConfig.model_validate(training or {}).model_dump(mode="json"),
        "model": model or {"family": "mlp"},
        "module_source": source,
        "task": "binary_classification",
    }


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_every_optimizer_can_be_made(name: str):
    assert check_before_run(config({"optimizer": {name: {"learning_rate": 0.01}}})) == []


@pytest.mark.parametrize(
    ("training", "where", "message"),
    [
        (
            {"optimizer": {"adam": {"learning_rte": 0.1}}},
            "training.optimizer.adam.learning_rte",
            "Did you mean 'learning_rate'",
        ),
        (
            {"optimizer": {"sgd": {"beta_1": 0.1}}},
            "training.optimizer.sgd.beta_1",
            "expected one of learning_rate, mom",
        ),
        ({"optimizer": {"adam": {"learning_rate": 0}}}, "training.optimizer.adam.learning_rate", "a number above 0"),
        ({"optimizer": {"adam": {"learning_rate": "fast"}}}, "training.optimizer.adam.learning_rate", "got 'fast'"),
        ({"optimizer": {"sgd": {"momentum": 3}}}, "training.optimizer.sgd", "momentum"),
        ({"early_stopping": {"monitor": "val_acu"}}, "training.early_stopping.monitor", "Did you mean 'val_auc'"),
        ({"keep": {"best": "val_acu"}}, "training.keep.best", "Did you mean 'val_auc'"),
        ({"reduce_learning_rate": {"monitor": "los"}}, "training.reduce_learning_rate.monitor", "Did you mean 'loss'"),
        (
            {"optimizer": {"adam": {"clipnorm": 1}}},
            "training.optimizer.adam.clipnorm",
            "Set training.gradient_clipping",
        ),
        ({"optimizer": {"adam": {"use_ema": True}}}, "training.optimizer.adam.use_ema", "Remove it: averages would"),
        ({"early_stopping": {"monitor": "val_rmse"}}, "training.early_stopping.monitor", "expected one of loss, val_l"),
    ],
)
def test_what_keras_would_refuse_later_is_refused_now(training: dict[str, Any], where: str, message: str):
    (problem,) = check_before_run(config(training))
    assert problem.where == where
    assert message in str(problem)


def test_a_users_module_is_run_before_the_run(tmp_path: Path):
    model = {"module": "mine.py", "builder": "build", "parameters": {}}
    assert check_before_run(config(model=model, source=BUILD), str(tmp_path)) == []
    (problem,) = check_before_run(config(model=model, source="import keras\nkeras.layers.Danse\n" + BUILD))
    assert problem.where == "model.module"
    assert "mine.py:2: AttributeError" in str(problem)
    (problem,) = check_before_run(config(model=model, source=BUILD.replace("build", "bild")))
    assert problem.where == "model.builder"


INPUTS = [ModelInput("fare", "float32"), ModelInput("company", "int64", (1,), 8)]
HEAD = "import keras\n\n\ndef build(inputs, task, num_classes):\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("    return keras.layers.Dense(units)(inputs)\n", "mine.py:5: NameError: name 'units'"),
        ("    return keras.layers.Danse(1)\n", "mine.py:5: AttributeError"),
        ("    return [each.size for each in inputs]\n", "mine.py:5: AttributeError"),
        ("    return keras.layers.Dense(1)\n", "not a keras.Model"),
        ("    import tensorflow_decision_trees\n", "mine.py:5: ModuleNotFoundError"),
        (
            "    given = {e.name: keras.Input((e.width,), name=e.name, dtype=e.dtype) for e in inputs}\n"
            "    return keras.Model(given, keras.layers.Dense(3)(given['fare']))\n",
            "returns [batch, 3]; [batch, 1] was expected",
        ),
    ],
)
def test_a_mistake_in_a_builder_is_found_before_the_run(body: str, message: str):
    model = {"module": "mine.py", "builder": "build", "parameters": {}}
    (problem,) = check_before_run(config(model=model, source=HEAD + body), None, INPUTS)
    assert message in str(problem)


def test_what_may_come_from_guessed_sizes_does_not_stop_a_run():
    model = {"module": "mine.py", "builder": "build", "parameters": {}}
    body = "    if inputs[1].cardinality < 50:\n        raise ValueError('too few companies')\n"
    assert check_before_run(config(model=model, source=HEAD + body), None, INPUTS) == []


def test_the_inputs_that_are_expected_are_those_that_transform_makes():
    chains = {
        "fare": ["z_score"],
        "company": [{"vocabulary": 100}],
        "kind": ["one_hot"],
        "both": [{"cross": ["kind", "company"]}, {"hash": 1000}],
    }
    kinds = {"fare": FeatureKind.NUMERIC, "company": FeatureKind.CATEGORICAL, "kind": FeatureKind.CATEGORICAL}
    found = TransformConfig.model_validate(chains).expected_inputs(kinds)
    assert [(each.name, each.dtype, each.is_ids) for each in found] == [
        ("fare", "float32", False),
        ("company", "int64", True),
        ("kind", "float32", False),
        ("both", "int64", True),
    ]


def test_a_name_that_is_no_function_is_found_when_the_module_has_run():
    model = {"module": "mine.py", "builder": "build", "parameters": {}}
    (problem,) = check_before_run(config(model=model, source="build = 3\n"))
    assert "defines no function 'build'" in str(problem)


def test_the_users_file_of_a_spec_is_checked_while_the_spec_is_read(tmp_path: Path):
    from components.errors import SpecError
    from pipelines.spec import load_spec

    (tmp_path / "mine.py").write_text("import keras\n\n\ndef build(inputs, task):\n    pass\n")
    (tmp_path / "pipeline.yaml").write_text(
        "name: own\ntask: regression\ndata: {path: x.csv, label: fare, features: {miles: numeric}}\n"
        "model: {module: mine.py, parameters: {width: 3}}\n"
    )
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "pipeline.yaml")
    found = {problem.where: (problem.file, problem.line) for problem in caught.value.problems}
    assert found == {"model.builder": ("mine.py", 4), "model.parameters.width": ("mine.py", 4)}


def test_a_cross_of_something_that_transform_does_not_make_is_found_while_the_spec_is_read(tmp_path: Path):
    from components.errors import SpecError
    from pipelines.spec import load_spec

    (tmp_path / "pipeline.yaml").write_text(
        "name: crossed\ntask: regression\n"
        "data: {path: x.csv, label: fare, features: {hour: categorical, day: categorical}}\n"
        "model: {family: wide_and_deep, crosses: [[hour, dya]]}\n"
    )
    with pytest.raises(SpecError, match=r"pipeline.yaml:4: model: got input 'dya'.*Did you mean 'day'") as caught:
        load_spec(tmp_path / "pipeline.yaml")
    assert len(caught.value.problems) == 1
