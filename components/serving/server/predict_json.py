"""`:predict` in JSON, by TF Serving's rules: row form (`instances`) and column form (`inputs`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from components.catalog import nearest
from components.features import RAW_SIGNATURE
from components.serving.request_error import RequestError
from components.serving.tensors import array_from_json, is_base64, json_from_array

if TYPE_CHECKING:
    from components.serving.saved_model import SavedModel, Signature

_KEYS = ("signature_name", "instances", "inputs")


def predict_json(model: SavedModel, body: bytes) -> bytes:
    """Answer one request.

    Args:
        model: the version that answers.
        body: the request, as JSON.

    Raises:
        RequestError: the request is not one that the model can answer.
    """
    request = _parse(body)
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError(f'"signature_name": got {name!r}, expected a string')
    if ("instances" in request) == ("inputs" in request):
        raise RequestError(f'got keys {sorted(request)}, expected either "instances" (rows) or "inputs" (columns)')
    signature = model.signature(name)
    by_row = "instances" in request
    columns = _from_rows(request["instances"], signature, model) if by_row else _columns(request["inputs"], signature)
    null_is_missing = signature.name == RAW_SIGNATURE
    inputs = {
        name: array_from_json(column, signature.inputs[name], null_is_missing=null_is_missing)
        for name, column in columns.items()
    }
    outputs = model.predict(signature, inputs)
    return _dump({"predictions": _rows(outputs)} if by_row else {"outputs": _only_or_all(outputs)})


def _parse(body: bytes) -> dict[str, Any]:
    if not body:
        raise RequestError("the request is empty; expected a JSON object")
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        request = _parse_with_nan(body, problem)
    if not isinstance(request, dict):
        raise RequestError(f"got a JSON {type(request).__name__}, expected an object with one of {', '.join(_KEYS)}")
    return request


def _parse_with_nan(body: bytes, problem: Exception) -> Any:
    """Parse again, accepting NaN and Infinity as TF Serving does; orjson does not."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RequestError(f"the request is not JSON: {problem}") from problem


def _from_rows(instances: Any, signature: Signature, model: SavedModel) -> dict[str, Any]:
    if not isinstance(instances, list) or not instances:
        raise RequestError('"instances": expected a list of at least one row')
    if type(instances[0]) is not dict or is_base64(instances[0]):
        return {_only_input(signature, "instances"): instances}
    names = signature.inputs.keys()
    for index, row in enumerate(instances):
        if type(row) is not dict:
            raise RequestError(f"row {index}: got {json.dumps(row)[:60]}, expected an object as in row 0")
        if row.keys() != names:
            _refuse_names(row, signature, model, f"row {index}: ")
    return {name: [row[name] for row in instances] for name in names}


def _columns(inputs: Any, signature: Signature) -> dict[str, Any]:
    if type(inputs) is not dict or is_base64(inputs):
        return {_only_input(signature, "inputs"): inputs}
    if inputs.keys() != signature.inputs.keys():
        _refuse_names(inputs, signature, None, "")
    return inputs


def _only_input(signature: Signature, key: str) -> str:
    if len(signature.inputs) != 1:
        names = ", ".join(sorted(signature.inputs))
        raise RequestError(
            f'"{key}": signature "{signature.name}" takes several named inputs, expected objects of {names}'
        )
    return next(iter(signature.inputs))


def _refuse_names(given: dict[str, Any], signature: Signature, model: SavedModel | None, where: str) -> None:
    unknown, lacking = sorted(given.keys() - signature.inputs.keys()), sorted(signature.inputs.keys() - given.keys())
    parts = []
    if unknown:
        guess = nearest(unknown[0], lacking or list(signature.inputs))
        parts.append(f"unknown {', '.join(unknown)}" + (f' (did you mean "{guess}"?)' if guess else ""))
    if lacking:
        missing = "; write null where a value is missing" if signature.name == RAW_SIGNATURE else ""
        parts.append(f"lacking {', '.join(lacking)}{missing}")
    raw = model.signatures.get(RAW_SIGNATURE) if model else None
    hint = ""
    if raw and raw is not signature and given.keys() & raw.inputs.keys():
        hint = f'. To send features by name, add "signature_name": "{RAW_SIGNATURE}"'
    raise RequestError(f'{where}inputs of signature "{signature.name}": {"; ".join(parts)}{hint}')


def _only_or_all(outputs: dict[str, np.ndarray]) -> Any:
    """Return the outputs by name, or a single one without its name."""
    values = {name: json_from_array(array, name) for name, array in outputs.items()}
    return next(iter(values.values())) if len(values) == 1 else values


def _rows(outputs: dict[str, np.ndarray]) -> Any:
    if any(array.ndim == 0 for array in outputs.values()) or len({len(array) for array in outputs.values()}) > 1:
        raise RequestError('the outputs have no common number of rows; ask in column form ("inputs")', 400)
    if len(outputs) == 1:
        return _only_or_all(outputs)
    columns = [json_from_array(array, name) for name, array in outputs.items()]
    return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]


def _dump(answer: dict[str, Any]) -> bytes:
    if _all_finite(answer):
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(
        answer, default=_plain
    ).encode()  # writes NaN and Infinity, as TF Serving does; orjson writes null


def _all_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_all_finite, value.values()))
    if isinstance(value, list):
        return all(map(_all_finite, value))
    return not isinstance(value, np.ndarray | np.floating) or value.dtype.kind != "f" or bool(np.isfinite(value).all())


def _plain(value: Any) -> Any:
    array = np.asarray(value)
    return array.astype(str).astype(np.float64).tolist() if array.dtype.kind == "f" else array.tolist()
