"""JSON values to arrays and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from components.serving.request_error import RequestError
from components.serving.tensors import InputSpec, array_from_json, json_from_array

FLOAT = InputSpec("fare", "float", np.dtype("float32"), (None,))
DOUBLE = InputSpec("fare", "float", np.dtype("float64"), (None,))
INT = InputSpec("hour", "int", np.dtype("int32"), (None,))
BOOL = InputSpec("flag", "bool", np.dtype("bool"), (None,))
TEXT = InputSpec("company", "string", np.dtype(object), (None,))
IMAGE = InputSpec("image", "float", np.dtype("float32"), (None, 2, None))
ANY = InputSpec("any", "float", np.dtype("float32"), None)


@pytest.mark.parametrize(
    ("value", "spec", "expected"),
    [
        ([1, 2.5, -3], FLOAT, [1, 2.5, -3]),
        ([math.inf, 2**24 - 1, 3e38], FLOAT, [math.inf, 2**24 - 1, np.float32(3e38)]),
        ([2**53 - 1], DOUBLE, [2**53 - 1]),
        ([0, -(2**31)], INT, [0, -(2**31)]),
        ([True, False], BOOL, [True, False]),
        (["a", "ü", {"b64": "/wA="}], TEXT, [b"a", "ü".encode(), b"\xff\x00"]),
        ([[[1], [2]], [[3], [4]]], IMAGE, [[[1], [2]], [[3], [4]]]),
        (3, ANY, 3),
        ([], FLOAT, []),
    ],
)
def test_values_of_the_right_type_are_taken(value: Any, spec: InputSpec, expected: Any) -> None:
    array = array_from_json(value, spec)
    assert array.dtype == spec.dtype
    assert array.tolist() == expected


@pytest.mark.parametrize(
    ("value", "spec", "message"),
    [
        ([1, "a"], FLOAT, r'input "fare", row 1: got the string "a", expected a number \(float32\)'),
        ([1, True], FLOAT, r'"fare", row 1: got true, expected a number'),
        ([1, None], FLOAT, r'"fare", row 1: got null, expected a number'),
        ([{"b64": ""}], FLOAT, r"got the object \{'b64': ''\}, expected a number"),
        ([1.0], INT, r'"hour", row 0: got 1.0, expected a whole number \(int32\)'),
        ([2**31], INT, r"got 2147483648, expected -2147483648 to 2147483647 \(int32\)"),
        ([1], BOOL, r'"flag", row 0: got 1, expected true or false'),
        ([7], TEXT, r'"company", row 0: got 7, expected a string or \{"b64": "…"\}'),
        ([{"b64": "?"}], TEXT, "not base64"),
        ([{"c": "x"}], TEXT, r"got the object \{'c': 'x'\}, expected a string"),
        ([2**24], FLOAT, r"whole number 16777216, which float32 cannot hold exactly; write 16777216.0"),
        ([10**400], DOUBLE, "cannot hold exactly"),
        ([1e39], FLOAT, r"got 1e\+39, expected at most 3.403e\+38"),
        ([[1.0]], FLOAT, r"got shape \[1, 1\], expected \[batch\]"),
        (1.0, FLOAT, r"got shape \[\], expected \[batch\]"),
        ([1.0, [2.0]], FLOAT, r"row 1: got the list \[2.0\], expected a number"),
        ([[1.0], 2.0], FLOAT, r"row 1: got 2.0, expected a list of 1 as in row 0"),
        ([[[1], [2]], [[3]]], IMAGE, r'"image", row 1: got a list of 1, expected a list of 2'),
        ([[[1, 2], [2, 3]], [[3, 4], [5]]], IMAGE, r'"image", row 1: got a list of 1, expected a list of 2'),
        ([[[1], [2], [3]]], IMAGE, r"got shape \[1, 3, 1\], expected \[batch, 2, None\]"),
        (["x" * 500], FLOAT, r'got the string "x{50,60}…, expected'),
    ],
)
def test_other_values_are_refused_with_the_reason(value: Any, spec: InputSpec, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        array_from_json(value, spec)
    assert caught.value.status == 400


def test_null_means_missing_only_where_the_signature_knows_missing_values() -> None:
    assert np.isnan(array_from_json([None, 1], FLOAT, null_is_missing=True)).tolist() == [True, False]
    assert array_from_json(["a", None], TEXT, null_is_missing=True).tolist() == [b"a", b""]
    with pytest.raises(RequestError, match="got null"):
        array_from_json([None], INT, null_is_missing=True)


def test_text_comes_back_as_text_and_bytes_as_base64() -> None:
    array = np.array([[b"a"], ["ü".encode()]], dtype=object)
    assert json_from_array(array, "class") == [["a"], ["ü"]]
    assert json_from_array(array, "class_bytes") == [[{"b64": "YQ=="}], [{"b64": "w7w="}]]
    assert json_from_array(np.array([b"\xff"], dtype=object), "class") == [{"b64": "/w=="}]
