"""A small arithmetic language over columns (`tips > 0.2 * fare`): parsed, never evaluated as Python.

The same parsed expression works on numpy arrays (checks before the run) and on TensorFlow tensors (the transform
graph, hence at serving), because it only uses operators and functions that both define.
"""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARE: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ONE_ARGUMENT = ("log", "log1p", "sqrt", "abs", "exp")
_ANY_ARGUMENTS = {"min": "minimum", "max": "maximum"}
_ALLOWED = (
    "columns, numbers, 'text' in a comparison, + - * /, < <= > >= == !=, and, or, not, parentheses, "
    f"{', '.join(f'{name}(x)' for name in _ONE_ARGUMENT)}, {', '.join(f'{name}(x, y)' for name in _ANY_ARGUMENTS)}"
)


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    True counts as 1 and false as 0 in arithmetic; a number is true in `and`, `or` and `not` unless it is 0.

    Args:
        text: the expression, for example `tips > 0.2 * fare` or `log1p(trip_miles / (trip_seconds + 1))`.

    Raises:
        ValueError: it does not parse, or uses something the language does not have.

    Example:
        >>> import numpy as np
        >>> expression = Expression("tips > 0.2 * fare")
        >>> expression.columns
        ('fare', 'tips')
        >>> expression.evaluate({"tips": np.array([1.0, 3.0]), "fare": np.array([10.0, 10.0])})
        array([False,  True])
        >>> Expression("max(tips, 2)").evaluate({"tips": np.array([1.0, 3.0])})
        array([2., 3.])
    """

    text: str

    def __post_init__(self) -> None:
        self._check(self._tree)

    @property
    def _tree(self) -> ast.expr:
        try:
            return ast.parse(self.text.strip(), mode="eval").body
        except SyntaxError as error:
            raise ValueError(f"{self.text!r} is not an expression ({error.msg}); it may use {_ALLOWED}") from error

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, sorted."""
        return tuple(sorted(_columns_of(self._tree)))

    @property
    def is_boolean(self) -> bool:
        """True when the result is true or false rather than a number."""
        tree = self._tree
        return isinstance(tree, ast.Compare | ast.BoolOp) or (
            isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.Not)
        )

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that it compares with text, sorted; all others are numbers."""
        found: set[str] = set()
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                if any(_is_text(side) for side in sides):
                    found.update(side.id for side in sides if isinstance(side, ast.Name))
        return tuple(sorted(found))

    def evaluate(self, values: Mapping[str, Any], library: Any = None) -> Any:
        """Compute it on one array or tensor per column, element by element.

        Args:
            values: column name to a float array or tensor (bytes for text columns), all of one shape.
            library: what computes the functions: `tensorflow` for tensors; None is `numpy`, for arrays.
        """
        import numpy as np

        return self._evaluate(self._tree, values, library or np)

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.Name() | ast.Constant(value=int() | float()):
                children = []
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                children = [left, right]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                children = [operand]
            case ast.UnaryOp(op=ast.Not(), operand=operand) if _columns_of(operand):
                children = [operand]
            case ast.BoolOp(values=children) if all(_columns_of(child) for child in children):
                pass
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                children = [side for side in (left, right) if not _is_text(side)]
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _ONE_ARGUMENT:
                children = [argument]
            case ast.Call(func=ast.Name(id=name), args=[_, _, *_] as children, keywords=[]) if name in _ANY_ARGUMENTS:
                pass
            case _:
                raise ValueError(f"{ast.unparse(node)!r} in {self.text!r} is not allowed; it may use {_ALLOWED}")
        for child in children:
            self._check(child)
        self._check_constants(node)

    def _check_constants(self, node: ast.expr) -> None:
        """Refuse a part without columns that has no finite value, such as 1 / 0."""
        if _columns_of(node) or any(_is_text(part) for part in ast.walk(node)):
            return
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and math.isfinite(node.value):
            return
        import numpy as np

        with np.errstate(all="ignore"):
            try:
                finite = bool(np.isfinite(self._evaluate(node, {}, np)))
            except (ZeroDivisionError, OverflowError):
                finite = False
        if not finite:
            raise ValueError(f"{ast.unparse(node)!r} in {self.text!r} has no finite value; write another constant")

    def _evaluate(self, node: ast.expr, values: Mapping[str, Any], library: Any) -> Any:
        compute = functools.partial(self._evaluate, values=values, library=library)
        match node:
            case ast.Name(id=name):
                return values[name]
            case ast.Constant(value=str() as text):
                return text.encode()
            case ast.Constant(value=number):
                return number
            case ast.BinOp(left=left, op=op, right=right):
                return _BINARY[type(op)](*(_as_number(compute(side), library) for side in (left, right)))
            case ast.UnaryOp(op=op, operand=operand):
                value = compute(operand)
                return ~_as_truth(value) if isinstance(op, ast.Not) else -_as_number(value, library)
            case ast.BoolOp(op=op, values=parts):
                combine = operator.and_ if isinstance(op, ast.And) else operator.or_
                return functools.reduce(combine, [_as_truth(compute(part)) for part in parts])
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return _COMPARE[type(op)](*(_as_number(compute(side), library) for side in (left, right)))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return _call(name, [_as_number(compute(argument), library) for argument in arguments], library)
        raise ValueError(f"cannot evaluate {self.text!r}")


def _columns_of(node: ast.expr) -> set[str]:
    called = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and id(part) not in called}


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_truth(value: Any) -> bool:
    return hasattr(value, "dtype") and bool(value.dtype == "bool")


def _as_truth(value: Any) -> Any:
    return value if _is_truth(value) else value != 0


def _as_number(value: Any, library: Any) -> Any:
    return library.where(value, 1.0, 0.0) if _is_truth(value) else value


def _call(name: str, arguments: list[Any], library: Any) -> Any:
    name = _ANY_ARGUMENTS.get(name, name)
    # TensorFlow keeps logarithms in tf.math alone, and takes none of a whole number
    function = getattr(library, name) if hasattr(library, name) else getattr(library.math, name)
    numbers = [float(argument) if isinstance(argument, int) else argument for argument in arguments]
    return function(*numbers) if len(numbers) == 1 else functools.reduce(function, numbers)
