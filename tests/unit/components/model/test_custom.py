"""A model from the user's own file, and what it says when that file is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.errors import ComponentError
from components.features import ModelInput
from components.model.build import build_model
from components.model.config import ModelConfig
from components.model.custom import check_source

INPUTS = (ModelInput("fare", "float32"), ModelInput("hour", "int64", cardinality=24))
GOOD = """import keras


def build(inputs, task, num_classes, units=4):
    tensors = {each.name: keras.Input((each.width,), name=each.name, dtype=each.dtype) for each in inputs}
    hour = keras.layers.Flatten()(keras.layers.Embedding(24, 2)(tensors["hour"]))
    hidden = keras.layers.Dense(units)(keras.layers.Concatenate()([tensors["fare"], hour]))
    return keras.Model(tensors, keras.layers.Dense(1, activation="sigmoid")(hidden))
"""


def build(source: str, *, base_dir: Path | None = None, module: str = "my_model.py", **custom: object):
    config = ModelConfig.model_validate({"module": module, **custom})
    directory = None if base_dir is None else str(base_dir)
    return build_model(config, INPUTS, "binary_classification", 2, module_source=source, base_dir=directory)


def test_a_builder_gets_its_parameters():
    model = build(GOOD, parameters={"units": 11})
    assert model.layers[-2].units == 11
    rows = {"fare": np.ones((3, 1), "float32"), "hour": np.ones((3, 1), "int64")}
    assert model(rows, training=False).shape == (3, 1)


def test_a_subclassed_model_has_its_weights_after_the_build():
    source = (
        "import keras\n\n\n@keras.saving.register_keras_serializable(package='mine')\nclass Mine(keras.Model):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.out = keras.layers.Dense(1, activation='sigmoid')\n\n"
        "    def call(self, rows):\n        return self.out(rows['fare'])\n\n\n"
        "def build(inputs, task, num_classes):\n    return Mine()\n"
    )
    assert [tuple(weight.shape) for weight in build(source).weights] == [(1, 1), (1,)]


def test_a_module_may_import_the_file_beside_it(tmp_path: Path):
    (tmp_path / "sluice_test_layers_beside.py").write_text("import keras\nWIDTH = 3\n")
    source = GOOD.replace("import keras", "import keras\nfrom sluice_test_layers_beside import WIDTH").replace(
        "units=4", "units=WIDTH"
    )
    assert build(source, base_dir=tmp_path).layers[-2].units == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import keras\nimport no_such_package_here\n", r"my_model.py:2: ModuleNotFoundError.*no_such_package_here"),
        ("def build(:\n", r"my_model.py:1: SyntaxError"),
        ("x = 1\n", "defines no function 'build'; it defines none"),
        (GOOD.replace('tensors["hour"]', 'tensors["huor"]'), r"my_model.py:6: KeyError: 'huor' at `hour = "),
        ("def build(inputs, task, num_classes):\n    return 3\n", "returned builtins.int, not a keras.Model"),
        ("def build(inputs):\n    return 3\n", "TypeError: build.. takes 1 positional argument but 3 were given"),
        (GOOD.replace("Dense(1,", "Dense(2,"), r"returns \[batch, 2\]; \[batch, 1\] was expected"),
        (GOOD.replace('tensors["fare"]', 'keras.Input((1,), name="tip")'), "builder in my_model.py failed|not accept"),
    ],
    ids=["import", "syntax", "missing", "raises", "no model", "signature", "shape", "inputs"],
)
def test_a_wrong_module_is_refused_with_its_line(source: str, message: str):
    with pytest.raises(ComponentError, match=message) as caught:
        build(source)
    assert (caught.value.spec_path or "").startswith("model.")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("source", "parameters", "where", "message", "line"),
    [
        ("def build(:\n", (), "model.module", "got invalid syntax; expected Python", 1),
        ("\nx = (1,\n", (), "model.module", "was never closed", 2),
        ("def bulid(inputs, task, num_classes): ...\n", (), "model.builder", "a function that m.py defines .bulid.", 1),
        ("\ndef build(inputs, task): ...\n", (), "model.builder", r"got build\(inputs, task\)", 2),
        ("def build(i, t, n, units=1): ...\n", ("unit",), "model.parameters.unit", "one of units", 1),
        ("def build(i, t, n): ...\n", ("unit",), "model.parameters.unit", "takes no parameters", 1),
        ("def build(i, t, n, *, units): ...\n", (), "model.parameters.units", "build requires it", 1),
        ("def build(i, t, n, units): ...\n", (), "model.parameters.units", "build requires it", 1),
    ],
)
def test_a_file_is_checked_without_running_it(source: str, parameters: tuple, where: str, message: str, line: int):
    (problem,) = check_source(source, "build", parameters, "m.py")
    assert (problem.where, problem.file, problem.line) == (where, "m.py", line)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(str(problem))


@pytest.mark.parametrize(
    ("source", "parameters"),
    [
        (GOOD, ("units",)),
        ("def build(*args, **kwargs): ...\n", ("anything",)),
        ("from elsewhere import build\n", ()),
        ("build = make_builder(3)\n", ("x",)),
        ("def build(inputs, task, num_classes, *, a, b=2): ...\n", ("a",)),
    ],
)
def test_a_right_file_has_no_problems(source: str, parameters: tuple):
    assert check_source(source, "build", parameters) == []
