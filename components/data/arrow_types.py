"""What an Arrow type becomes in an example: int64, float32, bytes or lists of one of these."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def example_type(kind: pa.DataType) -> pa.DataType | None:
    """Return what the values of a type become in an example, or None where it cannot hold them.

    Example:
        >>> import pyarrow as pa
        >>> example_type(pa.bool_()), example_type(pa.date32()), example_type(pa.struct([("x", pa.int8())]))
        (DataType(int64), DataType(binary), None)
    """
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return pa.null()
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float32()
    if pa.types.is_nested(kind):
        return None
    return pa.binary()


def type_name(target: pa.DataType) -> str:
    """Return the name that a summary and the checks have for what `example_type` returned."""
    return {pa.binary(): "bytes", pa.float32(): "float32"}.get(target, str(target))


def to_example_type(column: pa.Array) -> pa.Array:
    """Return a column, or lists of its values, as int64, float32 or binary; dates and times as their ISO text."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return column.cast(pa.list_(to_example_type(pa.nulls(0, kind.value_type)).type))
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    target = example_type(kind)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    if target == pa.float32():
        return column.cast(target, safe=False)
    if target == pa.binary() and pa.types.is_temporal(kind):
        column = pc.cast(column, pa.string())
    return column if column.type == target else column.cast(target)
