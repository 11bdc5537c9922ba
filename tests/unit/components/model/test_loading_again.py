"""Lambda layers and unsafe loading in a user's file are refused with the reason, wherever they are."""

from __future__ import annotations

import pytest

from components.errors import ComponentError
from components.features import ModelInput
from components.model.build import build_model, two_rows
from components.model.config import ModelConfig
from components.model.custom import check_source
from components.model.loading_again import check_loads

HEAD = """import keras
import keras as k
from keras import layers as parts
from keras.layers import Lambda as Quick


def build(inputs, task, num_classes):
    given = {each.name: keras.Input(each.shape, name=each.name) for each in inputs}
    values = given["fare"]
"""
TAIL = """
    return keras.Model(given, keras.layers.Dense(1, activation="sigmoid")(values))
"""


def build(body: str):
    config = ModelConfig.model_validate({"module": "mine.py"})
    inputs = (ModelInput("fare", "float32"),)
    return build_model(config, inputs, "binary_classification", 2, module_source=HEAD + body + TAIL)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "    values = keras.layers.Lambda(lambda x: x + 1)(values)",
            "a Lambda layer; expected a layer class.*bytecode",
        ),
        ("    values = k.layers.Lambda(lambda x: x + 1)(values)", "a Lambda layer"),
        ("    values = parts.Lambda(lambda x: x + 1)(values)", "a Lambda layer"),
        ("    values = Quick(lambda x: x + 1)(values)", "a Lambda layer"),
        ("    keras.config.enable_unsafe_deserialization()", "runs whatever Python code lies in a model file"),
        ("    values = keras.saving.load_model('x.keras', safe_mode=False)(values)", "safe_mode=False; expected safe"),
    ],
)
def test_it_is_refused_with_its_line_before_the_file_is_run(body: str, message: str):
    (problem,) = check_source(HEAD + body + TAIL, "build", (), "mine.py")
    assert (problem.where, problem.file, problem.line) == ("model.module", "mine.py", 10)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(str(problem))


@pytest.mark.parametrize(
    "body",
    [
        "    values = keras.layers.Rescaling(2.0)(values)",
        "    values = keras.saving.load_model('x.keras', safe_mode=True)(values)",
        "    import sympy\n    sympy.Lambda(1, 2)",
        "    double = lambda x: 2 * x",
    ],
)
def test_what_only_looks_like_it_is_not_refused(body: str):
    assert check_source(HEAD + body + TAIL, "build", (), "mine.py") == []


@pytest.mark.parametrize(
    "body",
    [
        "    values = getattr(keras.layers, 'Lam' 'bda')(lambda x: x + 1, name='hidden_away')(values)",
        "    inner = keras.Input((1,))\n"
        "    hidden = getattr(keras.layers, 'Lam' 'bda')(lambda x: x + 1, name='hidden_away')(inner)\n"
        "    values = keras.Sequential([keras.Model(inner, hidden)])(values)",
        "    values = keras.layers.Reshape((1, 1))(values)\n"
        "    inner = getattr(keras.layers, 'Lam' 'bda')(lambda x: x + 1, name='hidden_away')\n"
        "    values = keras.layers.Flatten()(keras.layers.TimeDistributed(inner)(values))",
    ],
    ids=["layer", "nested model", "wrapped"],
)
def test_a_lambda_layer_that_the_text_does_not_show_is_found_in_the_model(body: str):
    with pytest.raises(
        ComponentError, match="Lambda layer 'hidden_away': a Lambda layer keeps its .*bytecode"
    ) as found:
        build(body)
    assert "class of keras.layers.Layer" in (found.value.remedy or "")


def test_a_registered_layer_is_what_the_remedy_says():
    source = (
        '@keras.saving.register_keras_serializable(package="mine")\nclass More(keras.layers.Layer):\n'
        "    def call(self, values):\n        return values + 1\n\n\ndef build("
    )
    config, inputs = ModelConfig.model_validate({"module": "mine.py"}), (ModelInput("fare", "float32"),)
    text = HEAD.replace("def build(", source) + "    values = More()(values)" + TAIL
    assert check_source(text, "build", (), "mine.py") == []
    model = build_model(config, inputs, "binary_classification", 2, module_source=text)
    check_loads(model, two_rows(inputs), "mine.py")
    assert any(type(layer).__name__ == "More" for layer in model.layers)
