"""Lambda layers and unsafe loading in a user's file, found without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from components.errors import Problem

LAMBDA = (
    "a Lambda layer keeps its function as Python bytecode, which Keras refuses to load: it could do anything on the "
    "machine that loads it, and it works in one version of Python only"
)
UNSAFE = "safe loading: unsafe loading runs whatever Python code lies in a model file"
REGISTER = '@keras.saving.register_keras_serializable(package="mine")'


def unsafe_lines(text: str, file: str, where: str) -> Iterator[Problem]:
    """Yield Lambda layers and unsafe loading in a user's file, by its syntax tree alone.

    Args:
        text: content of the file; nothing is found in what is not Python.
        file: its path, for messages.
        where: of the spec, that names the file.

    Example:
        >>> [each.line for each in unsafe_lines("x = keras.layers.Lambda(abs)", "my_model.py", "model.module")]
        [1]
    """
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    names = dict(_names(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = _dotted(node.func, names)
        if called.endswith("layers.Lambda"):
            remedy = f"Write it as a class of keras.layers.Layer with its code in call, under {REGISTER}."
            yield Problem(where, "a Lambda layer", f"a layer class: {LAMBDA}", remedy, file, node.lineno)
        elif called.endswith("enable_unsafe_deserialization"):
            remedy = "Remove the call; register your classes instead."
            yield Problem(where, "enable_unsafe_deserialization()", UNSAFE, remedy, file, node.lineno)
        elif any(
            each.arg == "safe_mode" and isinstance(each.value, ast.Constant) and not each.value.value
            for each in node.keywords
        ):
            remedy = "Remove safe_mode=False; a model that needs it has a Lambda layer, which a layer class replaces."
            yield Problem(where, "safe_mode=False", UNSAFE, remedy, file, node.lineno)


def _names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield what names of the file stand for that imports give."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((each.asname or each.name, f"{node.module}.{each.name}") for each in node.names)
        elif isinstance(node, ast.Import):
            yield from ((each.asname, each.name) for each in node.names if each.asname)


def _dotted(node: ast.expr, names: Mapping[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else ""
