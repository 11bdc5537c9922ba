"""A Python file of the user's that the spec names: checked without running it, then run, its lines in every error."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import ComponentError, Problem


@dataclass(frozen=True)
class Wanted:
    """The function that a section of the spec takes from such a file.

    Args:
        section: dotted path of the section, whose key `module` names the file and `parameters` its arguments.
        key: of the section, that names the function.
        positional: names of the arguments that Sluice gives.
        returns: what it returns, for messages.
    """

    section: str
    key: str
    positional: tuple[str, ...]
    returns: str

    @property
    def module(self) -> str:
        """Where the spec names the file."""
        return f"{self.section}.module"

    @property
    def function(self) -> str:
        """Where the spec names the function."""
        return f"{self.section}.{self.key}"

    def signature(self, name: str) -> str:
        """Return how the function is written."""
        return f"{name}({', '.join([*self.positional, '**parameters'])}) -> {self.returns}"


def check_source(text: str, wanted: Wanted, name: str, parameters: Iterable[str], file: str) -> list[Problem]:
    """Return what is wrong with a file, from its syntax tree alone.

    Args:
        text: content of the file.
        wanted: what is taken from it.
        name: of the function.
        parameters: names of the keyword arguments that the spec gives it.
        file: its path, for messages.
    """
    try:
        tree = ast.parse(text, filename=file)
    except SyntaxError as error:
        return [Problem(wanted.module, str(error.msg), "Python", "Correct the file.", file, error.lineno)]
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if name in functions:
        return _check_arguments(functions[name], wanted, tuple(parameters), file)
    if name in _other_names(tree):
        return []
    known = ", ".join(functions) or "no functions"
    remedy = f"Define {wanted.signature(name)}, or name one of its functions in {wanted.function}."
    return [Problem(wanted.function, repr(name), f"a function that {file} defines ({known})", remedy, file, 1)]


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


def _check_arguments(node: ast.FunctionDef, wanted: Wanted, parameters: Sequence[str], file: str) -> list[Problem]:
    arguments, given = node.args, len(wanted.positional)
    positional = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    required = positional[: len(positional) - len(arguments.defaults)]
    by_name = set(positional[given:]) | {each.arg for each in arguments.kwonlyargs}
    required_by_name = set(required[given:]) | {
        each.arg for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    }
    problems = []
    if len(positional) < given and arguments.vararg is None:
        received, expected = f"{node.name}({', '.join(positional)})", wanted.signature(node.name)
        problems.append(Problem(wanted.function, received, expected, "Change the function.", file, node.lineno))
    for name in parameters:
        if name not in by_name and arguments.kwarg is None:
            remedy = f"Add it to {node.name}, or remove it from {wanted.section}.parameters."
            known = ", ".join(sorted(by_name))
            expected = f"one of {known}" if known else f"none: the {wanted.key} takes no parameters"
            where = f"{wanted.section}.parameters.{name}"
            problems.append(Problem(where, repr(name), expected, remedy, file, node.lineno))
    for name in sorted(required_by_name - set(parameters)):
        remedy = f"Add {name}: … to {wanted.section}.parameters, or give it a default in {node.name}."
        where = f"{wanted.section}.parameters.{name}"
        problems.append(Problem(where, "nothing", f"a value: {node.name} requires it", remedy, file, node.lineno))
    return problems


def load_function(
    text: str, wanted: Wanted, name: str, file: str, base_dir: str | Path | None = None
) -> Callable[..., Any]:
    """Run the user's file as a module and return its function.

    Args:
        text: content of the file.
        wanted: what is taken from it.
        name: of the function.
        file: its path as the spec writes it, for messages and tracebacks.
        base_dir: folder of the spec; imports of files beside the module work when it exists.

    Raises:
        ComponentError: the file does not run, or does not define the function; with the user's line.
    """
    folder = None if base_dir is None else (Path(base_dir) / file).parent
    if folder is not None and folder.is_dir() and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    module = types.ModuleType(f"sluice_custom_{wanted.section.replace('.', '_')}_{Path(file).stem}")
    module.__file__ = file
    # Classes in the file look their module up here, and tracebacks look their lines up there.
    sys.modules[module.__name__] = module
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    try:
        exec(compile(text, file, "exec"), module.__dict__)  # noqa: S102  the user's own code, which they asked to run
    except Exception as error:
        raise failure_of(error, file, f"{file} cannot be loaded", wanted.module) from error
    found = getattr(module, name, None)
    if not callable(found):
        known = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        raise ComponentError(
            f"{file} defines no function {name!r}; it defines {', '.join(known) or 'none'}.",
            spec_path=wanted.function,
            remedy=f"Define {wanted.signature(name)}.",
        )
    return found


def line_of(error: BaseException, file: str) -> int | None:
    """Return the last line of the user's file that an error passed through."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else None


def failure_of(error: BaseException, file: str, what: str, spec_path: str) -> ComponentError:
    """Return the error that says what went wrong in a file, and on which of its lines."""
    line = line_of(error, file)
    place = f"{file}:{line}" if line else file
    source = linecache.getline(file, line).strip() if line else ""
    shown = f" at `{source}`" if source else ""
    return ComponentError(
        f"{what}: {place}: {type(error).__name__}: {error}{shown}", spec_path=spec_path, remedy=f"Correct {place}."
    )
