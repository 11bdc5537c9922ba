"""The arithmetic language: the same values from numpy and TensorFlow, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from components.expression import Expression

A = np.array([1.0, 4.0, -2.0, 0.0], np.float32)
B = np.array([2.0, 0.5, 3.0, 7.0], np.float32)
TEXT = np.array([b"cash", b"card", b"cash", b""], object)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a / (b + 1)", A / (B + 1)),
        ("log(b)", np.log(B)),
        ("log1p(b)", np.log1p(B)),
        ("sqrt(b) * exp(-a)", np.sqrt(B) * np.exp(-A)),
        ("abs(a - b)", np.abs(A - B)),
        ("min(a, b)", np.minimum(A, B)),
        ("max(a, b, 1)", np.maximum(np.maximum(A, B), 1)),
        ("min(1, 2) * a", A),
        ("log(2) * a", np.log(2) * A),
        ("(a > 0) * b + (a <= 0)", (A > 0) * B + (A <= 0)),
        ("(a > 0) == (b > 1)", (A > 0) == (B > 1)),
        ("not a or b > 1 and kind == 'cash'", (A == 0) | ((B > 1) & (TEXT == b"cash"))),
        ("'cash' != kind", TEXT != b"cash"),
    ],
)
def test_numpy_and_tensorflow_compute_the_same(text: str, expected: np.ndarray) -> None:
    import tensorflow as tf

    expression = Expression(text)
    arrays = {"a": A, "b": B, "kind": TEXT}
    tensors = {"a": tf.constant(A), "b": tf.constant(B), "kind": tf.constant(TEXT.tolist())}
    of_numpy, of_tensorflow = expression.evaluate(arrays), expression.evaluate(tensors, tf).numpy()
    assert expression.is_boolean is (expected.dtype == bool)
    assert of_tensorflow.dtype == (bool if expression.is_boolean else np.float32)
    np.testing.assert_allclose(of_numpy, expected, rtol=1e-6)
    np.testing.assert_allclose(of_tensorflow, expected, rtol=1e-6)


def test_the_name_of_a_function_is_no_column() -> None:
    assert Expression("log(a) + max(b, log)").columns == ("a", "b", "log")
    assert Expression("abs(a) > 1 and kind == 'x'").text_columns == ("kind",)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("__import__('os')", "__import__('os')"),
        ("a.real", "a.real"),
        ("a ** 2", "a ** 2"),
        ("log(a, b)", "log(a, b)"),
        ("min(a)", "min(a)"),
        ("max(*a)", "max(*a)"),
        ("log(x=a)", "log(x=a)"),
        ("sin(a)", "sin(a)"),
        ("a + 'x'", "'x'"),
        ("log('x')", "'x'"),
        ("a and 1", "a and 1"),
        ("not 1", "not 1"),
        ("a < b < 2", "a < b < 2"),
    ],
)
def test_what_the_language_does_not_have_is_refused_with_what_it_has(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=r"is not allowed; it may use columns, .*log1p\(x\).*max\(x, y\)") as caught:
        Expression(text)
    assert repr(part) in str(caught.value)


def test_text_that_does_not_parse_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'a >' is not an expression .*; it may use columns"):
        Expression("a >")


@pytest.mark.parametrize(("text", "part"), [("a + 1 / 0", "1 / 0"), ("a * log(0)", "log(0)"), ("a + 1e999", "1e309")])
def test_a_constant_without_a_finite_value_is_refused(text: str, part: str) -> None:
    with pytest.raises(ValueError, match="has no finite value; write another constant") as caught:
        Expression(text)
    assert repr(part) in str(caught.value)
