"""From the section `model` to a Keras model whose inputs and outputs are what training and serving expect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from components.errors import ComponentError
from components.features import ModelInput, Task
from components.model.config import ModelConfig
from components.model.custom import call_builder, load_builder
from components.model.layers import output_units
from components.model.loading_again import check_layers

if TYPE_CHECKING:
    import keras


def build_model(
    config: ModelConfig,
    inputs: Sequence[ModelInput],
    task: Task,
    num_classes: int,
    *,
    module_source: str | None = None,
    base_dir: str | None = None,
) -> keras.Model:
    """Return an uncompiled model with its weights made.

    Args:
        config: a family with its hyperparameters, or the user's own builder.
        inputs: what the model receives.
        task: decides the head.
        num_classes: classes of the label; 2 for binary tasks, 1 for regression.
        module_source: content of the user's file, for a custom model.
        base_dir: folder of the spec, for imports of that file.

    Raises:
        ComponentError: it cannot be built from these inputs, or its output has the wrong shape.
    """
    family, custom = config.family, config.custom
    if family is not None:
        try:
            return family.build(inputs, task, num_classes)
        except ValueError as error:
            name = family.plugin_name()
            raise ComponentError(
                f"Family {name} cannot be built: {error}.", spec_path="model", remedy="Change the model section."
            ) from error
    if custom is None or module_source is None:
        raise ComponentError(
            "The source of the model's module is missing.", spec_path="model.module", remedy="Check the file."
        )
    function = load_builder(module_source, custom.builder, custom.module, base_dir)
    model = call_builder(function, custom.module, inputs, task, num_classes, dict(custom.parameters))
    _check_shapes(model, custom.module, inputs, output_units(task, num_classes))
    check_layers(model, custom.module, module_source)
    return model


def two_rows(inputs: Sequence[ModelInput]) -> dict[str, Any]:
    """Return two rows of zeros that a model with these inputs accepts."""
    import keras

    return {each.name: keras.ops.zeros((2, *each.shape), dtype=each.dtype) for each in inputs}


def _check_shapes(model: keras.Model, file: str, inputs: Sequence[ModelInput], units: int) -> None:
    """Call the model once on two rows of zeros: this also makes the weights of a subclassed model."""
    rows = two_rows(inputs)
    shapes = ", ".join(f"{each.name} {each.dtype} [batch, {', '.join(map(str, each.shape))}]" for each in inputs)
    try:
        output = model(rows, training=False)
    except Exception as error:
        raise ComponentError(
            f"The model that {file} builds does not accept its inputs: {type(error).__name__}: {error}",
            spec_path="model.module",
            remedy=f"It is called with a dictionary of {shapes}.",
        ) from error
    shape = getattr(output, "shape", None)
    if shape is None or tuple(shape) != (2, units):
        received = type(output).__name__ if shape is None else f"[batch, {', '.join(map(str, tuple(shape)[1:]))}]"
        raise ComponentError(
            f"The model that {file} builds returns {received}; [batch, {units}] was expected.",
            spec_path="model.module",
            remedy="End it with one sigmoid unit for a binary task, a softmax over num_classes for a multiclass task, "
            "one linear unit for regression.",
        )
