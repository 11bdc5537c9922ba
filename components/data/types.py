"""The type of a CSV column, by the rule of TFX's CsvExampleGen: Python's own int() and float() on every value.

Arrow's casts decide what they surely decide alike, in bulk; Python looks at the rest.
"""

from __future__ import annotations

from enum import IntEnum

import pyarrow as pa
import pyarrow.compute as pc

from components.engine.encoder import binary_array

_INT64_MIN, _INT64_MAX = -(1 << 63), (1 << 63) - 1
# Arrow reads hexadecimal integers and nan(...), which Python does not; Python reads _, + and spaces, which Arrow
# does not or not always.
_ARROW_ONLY = "[xX(]"
_NOT_AN_INTEGER = "[.eEnNiI]"
_SURELY_INT64 = "^-?[0-9]{1,18}$"


class Kind(IntEnum):
    """Type of a column; the type of several values is the largest of theirs."""

    NULL = 0
    INT = 1
    FLOAT = 2
    STRING = 3

    @property
    def dtype(self) -> str:
        """The name of the type in an example."""
        return ("null", "int64", "float32", "bytes")[self]


def kind_of_value(value: bytes) -> Kind:
    """Return the type of one value.

    Example:
        >>> [kind_of_value(value).name for value in (b"", b"1_000", b"1.5", b"0x10", b"99999999999999999999")]
        ['NULL', 'INT', 'FLOAT', 'STRING', 'STRING']
    """
    if not value:
        return Kind.NULL
    try:
        return Kind.INT if _INT64_MIN <= int(value) <= _INT64_MAX else Kind.STRING
    except ValueError:
        pass
    try:
        float(value)
    except ValueError:
        return Kind.STRING
    return Kind.FLOAT


def kind_of(values: pa.StringArray) -> Kind:
    """Return the type that holds all values; nulls do not count.

    Args:
        values: text as it stands in the file, best each value once.
    """
    values = values.drop_null()
    if not len(values):
        return Kind.NULL
    first = kind_of_value(values[0].as_py().encode())
    if first is Kind.STRING:
        return first
    if not _matches(values, _ARROW_ONLY):
        if _casts(values, pa.int64()):
            return Kind.INT
        if _casts(values, pa.float64()):
            return _kind_of_numbers(values)
    kind: Kind = first
    for value in values.cast(pa.binary()).to_pylist():
        kind = max(kind, kind_of_value(value))
        if kind is Kind.STRING:
            break
    return kind


def _kind_of_numbers(values: pa.StringArray) -> Kind:
    """Tell integers from floats where every value is a number, and find integers beyond 64 bits."""
    with_point = pc.match_substring_regex(values, _NOT_AN_INTEGER)
    doubtful = values.filter(pc.invert(pc.or_(with_point, pc.match_substring_regex(values, _SURELY_INT64))))
    kinds = [kind_of_value(value) for value in doubtful.cast(pa.binary()).to_pylist()]
    kind = max(kinds, default=Kind.INT)
    return max(kind, Kind.FLOAT) if pc.any(with_point).as_py() else kind


def convert(values: pa.StringArray, kind: Kind) -> pa.Array:
    """Return text as int64, float32 or binary; every value must fit the type.

    Args:
        values: text, null where missing.
        kind: type of the column.
    """
    if kind is Kind.NULL:
        return pa.nulls(len(values))
    if kind is Kind.STRING:
        return values.cast(pa.binary())
    whole = kind is Kind.INT
    if not _matches(values, _ARROW_ONLY):
        cast = _cast(values, pa.int64() if whole else pa.float64())
        if cast is not None:
            return cast if whole else cast.cast(pa.float32(), safe=False)
    parse = int if whole else float
    numbers = [None if value is None else parse(value) for value in values.cast(pa.binary()).to_pylist()]
    array = pa.array(numbers, pa.int64() if whole else pa.float64())
    return array if whole else array.cast(pa.float32(), safe=False)


def not_numbers(values: pa.StringArray) -> pa.StringArray:
    """Return the values that a numeric column cannot hold."""
    values = values.drop_null()
    if not len(values) or kind_of(values) is not Kind.STRING:
        return values.slice(0, 0)
    wrong = [value for value in values.cast(pa.binary()).to_pylist() if kind_of_value(value) is Kind.STRING]
    return binary_array(wrong).cast(pa.string())


def _matches(values: pa.StringArray, pattern: str) -> bool:
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


def _casts(values: pa.StringArray, kind: pa.DataType) -> bool:
    return _cast(values, kind) is not None


def _cast(values: pa.StringArray, kind: pa.DataType) -> pa.Array | None:
    try:
        return values.cast(kind)
    except pa.ArrowInvalid:
        return None
