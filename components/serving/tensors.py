"""JSON values to arrays and back, by TF Serving's rules, with messages that name the input."""

from __future__ import annotations

import base64
import binascii
import itertools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from components.serving.request_error import RequestError

Kind = Literal["float", "int", "bool", "string"]

_ACCEPTED: dict[Kind, frozenset[type]] = {
    "float": frozenset({float, int}),
    "int": frozenset({int}),
    "bool": frozenset({bool}),
    "string": frozenset({str, dict}),
}
_EXPECTED: dict[Kind, str] = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "string": 'a string or {"b64": "…"}',
}
_MISSING: dict[Kind, Any] = {"float": math.nan, "string": ""}
_JSON_NAMES: dict[type, str] = {dict: "the object ", list: "the list ", str: "the string "}


@dataclass(frozen=True)
class InputSpec:
    """One input of a signature.

    Args:
        name: its name in the signature.
        kind: which JSON values it takes.
        dtype: the array's element type; `object` for strings.
        shape: sizes with None where any is right; None when even the rank is open.
    """

    name: str
    kind: Kind
    dtype: np.dtype
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        return "string" if self.kind == "string" else self.dtype.name


def array_from_json(value: Any, spec: InputSpec, *, null_is_missing: bool = False) -> np.ndarray:
    """Return the array that a JSON value means.

    Args:
        value: a scalar or nested lists of equal lengths.
        spec: what the signature expects.
        null_is_missing: read null as NaN or the empty string, which the raw signature takes for a missing value.

    Raises:
        RequestError: a value of another type or size, or lists of unequal lengths.
    """
    flat, shape = _flatten(value, spec)
    found = set(map(type, flat))
    if null_is_missing and type(None) in found and spec.kind in _MISSING:
        found.discard(type(None))
        flat = [_MISSING[spec.kind] if item is None else item for item in flat]
    if wrong := found - _ACCEPTED[spec.kind]:
        _refuse_type(flat, wrong, spec, shape)
    if spec.kind == "string":
        flat = [_string(item, spec) for item in flat]
    elif spec.kind != "bool":
        _check_range(flat, found, spec)
    array = np.empty(len(flat), dtype=spec.dtype)
    array[:] = flat
    array = array.reshape(shape)
    check_shape(array, spec)
    return array


def check_shape(array: np.ndarray, spec: InputSpec) -> None:
    """Refuse an array of a shape that the signature does not take.

    Raises:
        RequestError: the rank or a fixed size differs.
    """
    if spec.shape is None:
        return
    fits = len(spec.shape) == array.ndim and all(
        want is None or want == got for want, got in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("batch" if axis == 0 and size is None else str(size) for axis, size in enumerate(spec.shape))
        raise RequestError(f'input "{spec.name}": got shape {list(array.shape)}, expected [{wanted}]')


def _flatten(value: Any, spec: InputSpec) -> tuple[list[Any], list[int]]:
    if type(value) is not list:
        return [value], []
    shape, flat = [len(value)], value
    while flat and type(flat[0]) is list:
        width = len(flat[0])
        for index, item in enumerate(flat):
            if type(item) is not list or len(item) != width:
                got = f"a list of {len(item)}" if type(item) is list else _shown(item)
                raise RequestError(
                    f'input "{spec.name}", row {_row(index, shape)}: got {got}, expected a list of {width} as in row 0'
                )
        shape.append(width)
        flat = list(itertools.chain.from_iterable(flat))
    return flat, shape


def _row(index: int, shape: list[int]) -> int:
    return index // max(1, math.prod(shape[1:]))


def _shown(value: Any) -> str:
    text = repr(value) if type(value) is not bool else str(value).lower()
    text = f'"{value}"' if type(value) is str else text
    text = text if len(text) <= 60 else f"{text[:57]}…"
    return "null" if value is None else f"{_JSON_NAMES.get(type(value), '')}{text}"


def _refuse_type(flat: list[Any], wrong: set[type], spec: InputSpec, shape: list[int]) -> None:
    index = next(index for index, item in enumerate(flat) if type(item) in wrong)
    raise RequestError(
        f'input "{spec.name}", row {_row(index, shape)}: got {_shown(flat[index])}, '
        f"expected {_EXPECTED[spec.kind]} ({spec})"
    )


def _string(item: Any, spec: InputSpec) -> bytes:
    if type(item) is str:
        return item.encode("utf-8", "surrogatepass")
    if not is_base64(item):
        raise RequestError(f'input "{spec.name}": got {_shown(item)}, expected {_EXPECTED["string"]}')
    try:
        return base64.b64decode(item["b64"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f'input "{spec.name}": got {_shown(item)}, which is not base64: {error}') from error


def is_base64(value: Any) -> bool:
    """Return True for `{"b64": "…"}`, which stands for bytes."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def _check_range(flat: list[Any], found: set[type], spec: InputSpec) -> None:
    """Refuse what would silently become another number; TF Serving refuses the same."""
    if spec.kind == "int":
        bounds = np.iinfo(spec.dtype)
        low, high = int(bounds.min), int(bounds.max)
        if flat and (min(flat) < low or max(flat) > high):
            outside = min(flat) if min(flat) < low else max(flat)
            raise RequestError(f'input "{spec.name}": got {outside}, expected {low} to {high} ({spec})')
        return
    if int in found:
        exact = 2 ** (np.finfo(spec.dtype).nmant + 1) - 1
        rounded = next((item for item in flat if type(item) is int and abs(item) > exact), None)
        if rounded is not None:
            raise RequestError(
                f'input "{spec.name}": got the whole number {rounded}, which {spec} cannot hold exactly; '
                f"write {rounded}.0 to accept the nearest one, as TF Serving demands too"
            )
    values, largest = np.array(flat, dtype=np.float64), float(np.finfo(spec.dtype).max)
    beyond = values[(np.abs(values) > largest) & np.isfinite(values)]
    if beyond.size:
        raise RequestError(f'input "{spec.name}": got {beyond[0]:.4g}, expected at most {largest:.4g} ({spec})')


def json_from_array(array: np.ndarray, name: str) -> Any:
    """Return what stands for an array in JSON: the array itself for numbers, nested lists for strings.

    Bytes become text, or `{"b64": "…"}` when the output's name ends in `_bytes` or they are not UTF-8.
    """
    if array.dtype != object:
        return np.ascontiguousarray(array)
    return _text(array.tolist(), name.endswith("_bytes"))


def _text(value: Any, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_text(item, as_bytes) for item in value]
    if not as_bytes:
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(value).decode("ascii")}
