"""Rows find their slices, whatever the column holds."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.errors import ComponentError
from components.evaluation import slices
from components.evaluation.slices import slice_rows


def test_a_group_has_one_slice_per_combination_that_occurs():
    columns = {"hour": pa.array([7, 8, 7, 7, None]), "company": pa.array([b"a", b"a", b"b", b"a", b"b"], pa.binary())}
    group = slice_rows(columns, ("company", "hour"))
    assert group.keys == (("a", 7), ("a", 8), ("b", 7))
    assert group.codes.tolist() == [0, 1, 2, 0, -1]
    assert group.names(2) == {"company": "b", "hour": "7"}


def test_missing_values_of_every_type_are_in_no_slice():
    columns = {"x": pa.array([1.5, float("nan"), None], pa.float32()), "empty": pa.nulls(3)}
    assert slice_rows(columns, ("x",)).codes.tolist() == [0, -1, -1]
    assert slice_rows(columns, ("empty",)).keys == ()
    assert slice_rows(columns, ("x", "empty")).codes.tolist() == [-1, -1, -1]


def test_both_zeros_are_one_slice():
    assert slice_rows({"x": pa.array([0.0, -0.0, 1.0])}, ("x",)).codes.tolist() == [0, 0, 1]


def test_only_the_largest_slices_are_measured_and_the_others_are_counted(monkeypatch):
    monkeypatch.setattr(slices, "MAX_SLICES", 2)
    group = slice_rows({"id": pa.array([3, 3, 3, 1, 1, 2, 9])}, ("id",))
    assert group.keys == ((1,), (3,))
    assert group.codes.tolist() == [1, 1, 1, 0, 0, -1, -1]
    assert (group.unmeasured, group.unmeasured_rows) == (2, 1)


def test_columns_with_several_values_are_refused():
    with pytest.raises(ComponentError, match="'tags', which has several values") as caught:
        slice_rows({"tags": pa.array([[1, 2], [3]])}, ("tags",))
    assert caught.value.spec_path == "evaluation.slices"


def test_slicing_agrees_with_a_plain_loop():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 4, 500), random.integers(0, 3, 500)
    group = slice_rows({"a": pa.array(a), "b": pa.array(b)}, ("a", "b"))
    assert all(group.keys[code] == (x, y) for code, x, y in zip(group.codes, a, b, strict=True))
