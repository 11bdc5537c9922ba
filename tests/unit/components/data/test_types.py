"""Bulk casts decide exactly what Python's int() and float() decide value by value."""

from __future__ import annotations

import random
import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.types import Kind, convert, kind_of, kind_of_value, not_numbers

VALUES = """ 1 +5 -3 1_000 0x10 0X1f 1e5 1E+05 nan NaN -nan +nan inf -Infinity infinity INF iNf 1. +1.5 .5 -.5 1e e abc
007 00.5 9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 99999999999999999999 1_0.5
nan(1) ٣ 1,5 0b1 True 1d 1.5f --1 1e400 1e-400
0x1p3 1__0 _1 1_ + - . 1L 1j 3.4028236e38 1e-42 0.1""".split()  # noqa: SIM905 - a list of so many strings is harder to read
VALUES += [" 7", "7 ", " 1.5", " ", "\t1\n", "1 2", ""]


def by_the_rule(values: list[str]) -> Kind:
    return max((kind_of_value(value.encode()) for value in values), default=Kind.NULL)


def text(values: list[str]) -> pa.StringArray:
    return pa.array([value or None for value in values], pa.string())


def check(values: list[str]) -> None:
    kind = kind_of(text(values))
    assert kind == by_the_rule(values)
    if kind is Kind.INT:
        assert convert(text(values), kind).to_pylist() == [int(value.encode()) if value else None for value in values]
    elif kind is Kind.FLOAT:
        converted = convert(text(values), kind)
        assert converted.type == pa.float32()
        for value, number in zip(values, converted.to_pylist(), strict=True):
            if value:
                wanted = pa.array([float(value.encode())], pa.float64()).cast(pa.float32(), safe=False)[0].as_py()
                assert struct.pack("<d", number) == struct.pack("<d", wanted)
            else:
                assert number is None


@pytest.mark.parametrize("value", VALUES)
def test_one_value_has_the_type_that_python_gives(value):
    check([value])
    check([value, "5"])
    check([value, "2.5", ""])


def test_any_mixture_has_the_type_that_python_gives():
    choose = random.Random(5)
    for _ in range(3_000):
        check(choose.choices(VALUES, k=choose.randint(2, 6)))


@given(
    st.lists(st.one_of(st.floats().map(repr), st.integers().map(str), st.text("0123456789+-.eE_xnaif (", max_size=8)))
)
def test_whatever_is_written_has_the_type_that_python_gives(values):
    check(values)


def test_what_is_no_number_is_listed():
    assert not_numbers(text(["1", "x", "2.5", "0x10", "", str(2**70)])).to_pylist() == ["x", "0x10", str(2**70)]
    assert not_numbers(text(["1", "2.5", ""])).to_pylist() == []


def test_nothing_has_no_type():
    assert kind_of(text(["", ""])) is Kind.NULL
    assert convert(text(["", ""]), Kind.NULL).type == pa.null()
