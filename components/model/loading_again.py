"""A user's own model must load again from the `.keras` file it is saved to, without running code that lies in it."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import ComponentError
from components.model.unsafe_code import LAMBDA, REGISTER

if TYPE_CHECKING:
    import keras


def check_layers(model: keras.Model, file: str, text: str) -> None:
    """Refuse Lambda layers and classes that are not registered, however deep in the model they are.

    Args:
        model: with its layers made.
        file: that builds it.
        text: content of the file.

    Raises:
        ComponentError: it has one; says which class, and where in the file.
    """
    import keras

    for each in (model, *model._flatten_layers(include_self=False)):  # noqa: SLF001 - no public one finds them all
        if isinstance(each, keras.layers.Lambda):
            raise ComponentError(
                f"The model that {file} builds has the Lambda layer {each.name!r}: {LAMBDA}.",
                spec_path="model.module",
                remedy=f"Write it as a class of keras.layers.Layer with its code in call, under {REGISTER}.",
            )
        kind = type(each)
        own = kind.__module__.partition(".")[0] != "keras"
        if own and keras.saving.get_registered_name(kind) == kind.__name__:
            raise ComponentError(
                f"{_place(kind.__name__, file, text)}: class {kind.__name__} is not registered with Keras, so the "
                "saved model could not be loaded again.",
                spec_path="model.module",
                remedy=f"Write {REGISTER} above the class.",
            )


def _place(name: str, file: str, text: str) -> str:
    """Return `file:line` of a class, or the file when it comes from elsewhere."""
    lines = [node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef) and node.name == name]
    return f"{file}:{lines[0]}" if lines else file


def check_loads(model: keras.Model, rows: Mapping[str, Any], file: str) -> None:
    """Save the model, load it as somebody else would, and see whether it is the same one.

    Args:
        model: with its weights made.
        rows: two rows that it accepts.
        file: that builds it.

    Raises:
        ComponentError: it cannot be saved or loaded, or is another model then.
    """
    import keras
    import numpy as np

    remedy = (
        "Give each class of your own a get_config() that returns the arguments of its __init__ besides those of "
        f"super().get_config(), and put {REGISTER} above each class and function that the model uses."
    )
    with tempfile.TemporaryDirectory(prefix="sluice-") as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
            loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
            # not zeros: with them many a layer gives zeros, whatever its weights are
            rows = {
                name: keras.ops.ones_like(each) if "float" in keras.backend.standardize_dtype(each.dtype) else each
                for name, each in rows.items()
            }
            before, after = (keras.ops.convert_to_numpy(each(rows, training=False)) for each in (model, loaded))
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [""]
            # Keras says last what went wrong inside of what it tried
            shown = next((line for line in lines if line.startswith("Exception encountered")), lines[0])[:300]
            raise ComponentError(
                f"The model that {file} builds cannot be loaded again after it is saved: "
                f"{type(error).__name__}: {shown}",
                spec_path="model.module",
                remedy=remedy,
            ) from None
    if not np.allclose(before, after, rtol=1e-4, atol=1e-5):
        raise ComponentError(
            f"The model that {file} builds predicts something else after it is saved and loaded again.",
            spec_path="model.module",
            remedy=remedy,
        )


OWN_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics")
"""Methods by which a subclassed model decides itself how Keras's `fit` trains it."""


def own_steps(model: keras.Model) -> list[str]:
    """Return which of these methods the user's class has of its own."""
    import keras

    return [name for name in OWN_STEPS if getattr(type(model), name) is not getattr(keras.Model, name)]


def refuse_own_steps(model: keras.Model, *, own_loop: bool = False) -> None:
    """Refuse them where Sluice's loop trains instead of Keras's `fit`, which would pass them by.

    Args:
        model: with its layers made.
        own_loop: it is because of `training.loop`, else because several copies learn together.

    Raises:
        ComponentError: the model has one.
    """
    found = own_steps(model)
    if found and own_loop:
        raise ComponentError(
            f"The model has its own {' and '.join(found)}, and training.loop names another step.",
            spec_path="training.loop",
            remedy="Keep one of the two.",
        )
    if found:
        raise ComponentError(
            f"The model's own {' and '.join(found)} cannot be obeyed by several copies of the model: Keras's methods "
            "take the mean over the rows of one copy, not of the whole batch.",
            spec_path="training.strategy",
            remedy="Set training.strategy to none.",
        )
