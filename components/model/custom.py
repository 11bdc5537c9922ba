"""The user's own model file: checked without running it, then loaded, with its own lines in every error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from components.engine import user_file
from components.engine.user_file import Wanted, failure_of
from components.errors import ComponentError, Problem
from components.features import ModelInput, Task
from components.model.unsafe_code import unsafe_lines

BUILDER = Wanted("model", "builder", ("inputs", "task", "num_classes"), "keras.Model")
SIGNATURE = BUILDER.signature("build")


def check_source(text: str, builder: str, parameters: Iterable[str] = (), file: str = "model.py") -> list[Problem]:
    """Return what is wrong with a model file, from its syntax tree alone.

    Args:
        text: content of the file.
        builder: name of the function that builds the model.
        parameters: names of the keyword arguments that the spec gives it.
        file: its path, for messages.

    Example:
        >>> check_source("def build(inputs, task, num_classes): ...", "build")
        []
    """
    found = user_file.check_source(text, BUILDER, builder, parameters, file)
    return [*found, *unsafe_lines(text, file, BUILDER.module)]


def load_builder(text: str, builder: str, file: str, base_dir: str | Path | None = None) -> Callable[..., Any]:
    """Run the user's file as a module and return its builder; see `components.engine.user_file.load_function`.

    Raises:
        ComponentError: the file does not run, or does not define the function; with the user's line.
    """
    return user_file.load_function(text, BUILDER, builder, file, base_dir)


def call_builder(
    function: Callable[..., Any],
    file: str,
    inputs: Sequence[ModelInput],
    task: Task,
    num_classes: int,
    parameters: dict[str, Any],
) -> Any:
    """Return the Keras model that the user's builder makes.

    Raises:
        ComponentError: it raises, or returns something else; with the user's line.
    """
    import keras

    try:
        model = function(list(inputs), task, num_classes, **parameters)
    except Exception as error:
        raise failure_of(error, file, f"The builder in {file} failed", "model.builder") from error
    if not isinstance(model, keras.Model):
        raise ComponentError(
            f"The builder in {file} returned {type(model).__module__}.{type(model).__name__}, not a keras.Model.",
            spec_path="model.builder",
            remedy="Return a model of the package `keras` (Keras 3), not of tf_keras, and do not compile or fit it.",
        )
    return model
