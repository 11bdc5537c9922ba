"""What the cleaning steps keep, and what they say about wrong parameters."""

from __future__ import annotations

import doctest

import pyarrow as pa
import pytest
from pydantic import ValidationError

from components.cleaning import columns, filtering
from components.cleaning.config import CleaningConfig
from components.cleaning.steps.drop_duplicates import DropDuplicates
from components.cleaning.steps.drop_missing import DropMissing
from components.cleaning.steps.keep_range import KeepRange
from components.cleaning.steps.keep_values import KeepValues
from components.engine import choice
from components.engine.config import EngineConfig
from components.errors import ComponentError


def batch(**values: pa.Array) -> pa.RecordBatch:
    return pa.record_batch(values)


def test_a_missing_value_in_any_of_the_columns_drops_the_row() -> None:
    rows = batch(a=pa.array([1, None, 3, None]), b=pa.array([1.0, 2.0, float("nan"), None]))
    assert DropMissing(columns=("a", "b")).keep(rows).to_pylist() == [True, False, False, False]


def test_an_empty_text_and_a_list_with_values_are_not_missing() -> None:
    rows = batch(text=pa.array([b"", None]), many=pa.array([[1, 2], [3]]))
    assert DropMissing(columns=("text", "many")).keep(rows).to_pylist() == [True, False]


def test_a_limit_is_in_the_range_even_when_float32_cannot_hold_it() -> None:
    rows = batch(x=pa.array([0.1, 0.3], pa.float32()))
    assert KeepRange(column="x", min=0.1, max=0.3).keep(rows).to_pylist() == [True, True]
    assert KeepValues(column="x", values=(0.1,)).keep(rows).to_pylist() == [True, False]


def test_infinities_are_outside_a_range_and_missing_values_stay() -> None:
    rows = batch(x=pa.array([float("inf"), float("-inf"), float("nan"), None, 3], pa.float32()))
    assert KeepRange(column="x", min=0).keep(rows).to_pylist() == [True, False, True, True, True]
    assert KeepRange(column="x", max=9).keep(rows).to_pylist() == [False, True, True, True, True]


def test_a_fractional_limit_works_on_whole_numbers() -> None:
    assert KeepRange(column="x", min=1.5).keep(batch(x=pa.array([1, 2]))).to_pylist() == [False, True]


def test_values_are_compared_as_the_column_holds_them() -> None:
    assert KeepValues(column="x", values=(3,)).keep(batch(x=pa.array([3, 4]))).to_pylist() == [True, False]
    rows = batch(x=pa.array(["Żółta".encode(), b"3", b"\xff"]))
    assert KeepValues(column="x", values=("Żółta", "3")).keep(rows).to_pylist() == [True, True, False]


@pytest.mark.parametrize(
    ("step", "written", "message"),
    [
        (DropMissing, {"columns": []}, "at least 1 item"),
        (KeepRange, {"column": "x"}, "min, max or both"),
        (KeepRange, {"column": "x", "min": 2, "max": 1}, "min 2 is above max 1; no row could stay"),
        (KeepRange, {"column": "x", "min": float("nan")}, "finite number"),
        (KeepValues, {"column": "x", "values": []}, "at least 1 item"),
        (KeepValues, {"column": "x", "values": [1, "1"]}, "texts and numbers are mixed"),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(step: type, written: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        step.model_validate(written)


def test_rows_are_equal_only_when_every_value_is() -> None:
    rows = batch(
        a=pa.array([b"xy", b"x", b"", None, b"xy"]),
        b=pa.array([b"z", b"yz", b"xyz", b"xyz", b"z"]),
    )
    assert DropDuplicates().keep(rows).to_pylist() == [True, True, True, True, False]


def test_nan_null_and_an_absent_column_are_the_same_missing_value() -> None:
    with_column = batch(a=pa.array([1, 1]), b=pa.array([None, float("nan")], pa.float32()))
    without = batch(a=pa.array([1]))
    of_no_type = batch(a=pa.array([1]), b=pa.nulls(1))
    keys = [columns.row_keys(rows).to_pylist() for rows in (with_column, without, of_no_type)]
    assert {key for batch_keys in keys for key in batch_keys} == {keys[1][0]}


def test_a_number_and_its_text_are_different_and_zeros_are_equal() -> None:
    number, text = columns.row_keys(batch(a=pa.array([1]))), columns.row_keys(batch(a=pa.array([b"\x01" + b"\0" * 7])))
    assert number[0] != text[0]
    zeros = columns.row_keys(batch(a=pa.array([0.0, -0.0, 1.0], pa.float32())))
    assert zeros[0] == zeros[1] != zeros[2]


def test_lists_are_compared_by_what_they_hold() -> None:
    rows = batch(a=pa.array([[1, 2], [1], [1, 2], None, []]))
    assert DropDuplicates().keep(rows).to_pylist() == [True, True, False, True, True]


def test_a_key_does_not_depend_on_the_batch_it_is_in() -> None:
    rows = batch(a=pa.array([1, None, 3]), b=pa.array([b"x", b"yy", None]), c=pa.array([1.5, None, 2.5], pa.float32()))
    whole = columns.row_keys(rows).to_pylist()
    assert [columns.row_keys(rows.slice(i, 1))[0].as_py() for i in range(3)] == whole


def test_a_number_step_on_a_text_column_says_where_and_what_to_do() -> None:
    with pytest.raises(
        ComponentError, match=r"keep_range looks at columns of number; column 'x' holds a text"
    ) as error:
        filtering.check_kinds(KeepRange(column="x", min=0), 2, batch(x=pa.array([b"a"])))
    assert error.value.spec_path == "cleaning[2]"
    assert "one bad cell makes a column text" in error.value.remedy


def test_steps_are_described_as_they_are_written() -> None:
    config = CleaningConfig.model_validate(
        [{"drop_missing": ["fare"]}, "drop_duplicates", {"keep_range": {"column": "fare", "min": 0, "max": 2.5}}]
    )
    assert [filtering.describe(step) for step in config.steps] == [
        "drop_missing: [fare]",
        "drop_duplicates",
        "keep_range: {column: fare, min: 0, max: 2.5}",
    ]


def test_only_needed_columns_are_decoded_unless_a_step_looks_at_all() -> None:
    missing, ranged = DropMissing(columns=("b", "a")), KeepRange(column="c", min=0)
    assert filtering.needed_columns([missing, ranged]) == ["a", "b", "c"]
    assert filtering.needed_columns([missing, DropDuplicates()]) is None


def test_the_engine_follows_the_spec_then_the_runner_then_the_memory() -> None:
    assert choice.choose_engine(EngineConfig(name="beam"), 1) == "beam"
    assert choice.choose_engine(EngineConfig(name="arrow"), 1 << 60) == "arrow"
    assert choice.choose_engine(EngineConfig(), 1 << 60) == "beam"
    assert choice.choose_engine(EngineConfig(), 1) == "arrow"
    own = EngineConfig(beam_pipeline_args=("--runner=FlinkRunner",))
    assert choice.choose_engine(own, 1) == "beam"


def test_gzipped_bytes_count_as_what_they_unpack_to(tmp_path) -> None:
    (tmp_path / "Split-train").mkdir()
    (tmp_path / "Split-train" / "data.gz").write_bytes(b"x" * 7)
    (tmp_path / "plain").write_bytes(b"x" * 5)
    assert choice.bytes_in_folder(tmp_path) == 7 * choice.GZIP_EXPANSION + 5


@pytest.mark.parametrize("module", [columns, filtering, choice])
def test_examples_in_docstrings_are_true(module) -> None:
    assert doctest.testmod(module).failed == 0
