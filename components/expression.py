"""A small arithmetic language over columns (`tips > 0.2 * fare`): parsed, never evaluated as Python.

The same parsed expression works on numpy arrays (checks before the run) and on TensorFlow tensors (the transform
graph, hence at serving), because it only uses operators that both define.
"""

from __future__ import annotations

import ast
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
_ALLOWED = "columns, numbers, 'text', + - * /, < <= > >= == !=, and, or, not, parentheses"


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Args:
        text: the expression, for example `tips > 0.2 * fare`.

    Raises:
        ValueError: it does not parse, or uses something the language does not have.

    Example:
        >>> import numpy as np
        >>> expression = Expression("tips > 0.2 * fare")
        >>> expression.columns
        ('fare', 'tips')
        >>> expression.evaluate({"tips": np.array([1.0, 3.0]), "fare": np.array([10.0, 10.0])})
        array([False,  True])
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
        return tuple(sorted({node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)}))

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
                if any(isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides):
                    found.update(side.id for side in sides if isinstance(side, ast.Name))
        return tuple(sorted(found))

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Compute it on one array or tensor per column, element by element.

        Args:
            values: column name to a float array or tensor (bytes for text columns), all of one shape.
        """
        return self._evaluate(self._tree, values)

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.Name() | ast.Constant(value=int() | float() | str()):
                return
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                children = [left, right]
            case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
                children = [operand]
            case ast.BoolOp(values=values):
                children = values
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                children = [left, right]
            case _:
                raise ValueError(f"{ast.unparse(node)!r} in {self.text!r} is not allowed; it may use {_ALLOWED}")
        for child in children:
            self._check(child)

    def _evaluate(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Name(id=name):
                return values[name]
            case ast.Constant(value=str() as text):
                return text.encode()
            case ast.Constant(value=number):
                return number
            case ast.BinOp(left=left, op=op, right=right):
                return _BINARY[type(op)](self._evaluate(left, values), self._evaluate(right, values))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self._evaluate(operand, values)
            case ast.UnaryOp(operand=operand):
                return -self._evaluate(operand, values)
            case ast.BoolOp(op=op, values=parts):
                results = [self._evaluate(part, values) for part in parts]
                combine = operator.and_ if isinstance(op, ast.And) else operator.or_
                total = results[0]
                for result in results[1:]:
                    total = combine(total, result)
                return total
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return _COMPARE[type(op)](self._evaluate(left, values), self._evaluate(right, values))
        raise ValueError(f"cannot evaluate {self.text!r}")
