"""The user's own model file: checked without running it, then loaded, with its own lines in every error."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from components.errors import ComponentError, Problem
from components.features import ModelInput, Task

POSITIONAL = ("inputs", "task", "num_classes")
SIGNATURE = "build(inputs, task, num_classes, **parameters) -> keras.Model"


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
    try:
        tree = ast.parse(text, filename=file)
    except SyntaxError as error:
        where = Problem("model.module", str(error.msg), "Python", "Correct the file.", file, error.lineno)
        return [where]
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if builder in functions:
        return _check_arguments(functions[builder], builder, tuple(parameters), file)
    if builder in _other_names(tree):
        return []
    known = ", ".join(functions) or "no functions"
    remedy = f"Define {_signature(builder)}, or name one of its functions in model.builder."
    return [Problem("model.builder", repr(builder), f"a function that {file} defines ({known})", remedy, file, 1)]


def _other_names(tree: ast.Module) -> set[str]:
    """Return names that something other than a plain `def` gives: what they hold is known only when it runs."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found.update(alias.asname or alias.name for alias in names)
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                found.add(name)
    return found


def _check_arguments(node: ast.FunctionDef, builder: str, parameters: Sequence[str], file: str) -> list[Problem]:
    arguments = node.args
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    required = positional[: len(positional) - len(arguments.defaults)]
    by_name = set(positional[len(POSITIONAL) :]) | {each.arg for each in arguments.kwonlyargs}
    required_by_name = set(required[len(POSITIONAL) :]) | {
        each.arg for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    }
    problems = []
    if len(positional) < len(POSITIONAL) and arguments.vararg is None:
        received = f"{builder}({', '.join(positional)})"
        problems.append(Problem("model.builder", received, SIGNATURE, "Change the function.", file, node.lineno))
    for name in parameters:
        if name not in by_name and arguments.kwarg is None:
            remedy = f"Add it to {builder}, or remove it from model.parameters."
            expected = f"one of {', '.join(sorted(by_name))}" if by_name else "none: the builder takes no parameters"
            problems.append(Problem(f"model.parameters.{name}", repr(name), expected, remedy, file, node.lineno))
    for name in sorted(required_by_name - set(parameters)):
        remedy = f"Add {name}: … to model.parameters, or give it a default in {builder}."
        where = f"model.parameters.{name}"
        problems.append(Problem(where, "nothing", f"a value: {builder} requires it", remedy, file, node.lineno))
    return problems


def _signature(builder: str) -> str:
    return SIGNATURE.replace("build(", f"{builder}(", 1)


def load_builder(text: str, builder: str, file: str, base_dir: str | Path | None = None) -> Callable[..., Any]:
    """Run the user's file as a module and return its builder.

    Args:
        text: content of the file.
        builder: name of the function.
        file: its path as the spec writes it, for messages and tracebacks.
        base_dir: folder of the spec; imports of files beside the module work when it exists.

    Raises:
        ComponentError: the file does not run, or does not define the function; with the user's line.
    """
    folder = None if base_dir is None else (Path(base_dir) / file).parent
    if folder is not None and folder.is_dir() and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = types.ModuleType(f"sluice_custom_model_{Path(file).stem}")
    module.__file__ = file
    # Classes in the file look their module up here, and tracebacks look their lines up there.
    sys.modules[module.__name__] = module
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    try:
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102  the user's own code, which they asked to run
    except Exception as error:
        raise _failure(error, file, f"{file} cannot be loaded", "model.module") from error
    found = getattr(module, builder, None)
    if not callable(found):
        known = [name for name, value in vars(module).items() if inspect.isfunction(value)]
        raise ComponentError(
            f"{file} defines no function {builder!r}; it defines {', '.join(known) or 'none'}.",
            spec_path="model.builder",
            remedy=f"Define {_signature(builder)}.",
        )
    return found


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
        raise _failure(error, file, f"The builder in {file} failed", "model.builder") from error
    if not isinstance(model, keras.Model):
        raise ComponentError(
            f"The builder in {file} returned {type(model).__module__}.{type(model).__name__}, not a keras.Model.",
            spec_path="model.builder",
            remedy="Return a model of the package `keras` (Keras 3), not of tf_keras, and do not compile or fit it.",
        )
    return model


def line_of(error: BaseException, file: str) -> int | None:
    """Return the last line of the user's file that an error passed through."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def _failure(error: BaseException, file: str, what: str, spec_path: str) -> ComponentError:
    line = line_of(error, file)
    place = f"{file}:{line}" if line else file
    source = linecache.getline(file, line).strip() if line else ""
    shown = f" at `{source}`" if source else ""
    return ComponentError(
        f"{what}: {place}: {type(error).__name__}: {error}{shown}", spec_path=spec_path, remedy=f"Correct {place}."
    )
