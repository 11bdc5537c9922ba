"""What is certain to go wrong is said before the first component runs: the column, the row's line, what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.cleaning.config import CleaningConfig
from components.data.config import DataConfig
from components.data.preflight import Preflight, check
from components.data.source import resolve
from components.engine.examples import ExampleWriter, encode_examples
from components.errors import Problem
from components.transform.config import TransformConfig

TAXI = resolve("package:tfx/examples/chicago_taxi_pipeline/data/simple/data.csv", "/")
HEADER = "fare,tips,company,note"


def good(count: int) -> list[str]:
    """Rows, every fifth of which takes two lines."""
    note = ("plain", '"two\nlines"')
    return [f"{10 + n % 7},{n % 5},{'Blue Cab' if n % 2 else 'Flash'},{note[n % 5 == 2]}" for n in range(count)]


def look(
    tmp_path: Path,
    rows: list[str] | bytes,
    *,
    cleaning: Any = (),
    transform: Any = None,
    slices: Any = (),
    task: Any = None,
    **data: Any,
) -> Preflight:
    path = tmp_path / "data.csv"
    path.write_bytes(rows if isinstance(rows, bytes) else "".join(row + "\n" for row in rows).encode())
    config = {
        "path": str(path),
        "label": {"big_tip": "tips > 0.2 * fare"},
        "features": {"fare": "numeric", "company": "categorical"},
        **data,
    }
    return check(
        DataConfig.model_validate(config),
        str(path),
        CleaningConfig.model_validate(list(cleaning)),
        TransformConfig.model_validate(transform or {}).chains,
        slices,
        task,
    )


def only(found: Preflight) -> Problem:
    (problem,) = found.problems
    return problem


def test_good_data_have_no_problem(tmp_path):
    found = look(tmp_path, [HEADER, *good(40)], task="binary_classification")
    assert found.problems == []
    assert (found.rows, found.complete) == (40, True)
    assert found.columns == {"fare": "int64", "tips": "int64", "company": "bytes", "note": "bytes"}


def test_the_taxi_data_have_no_problem():
    data = {"path": TAXI, "label": {"big_tip": "tips > 0.2 * fare"}, "features": {"trip_miles": "numeric"}}
    found = check(DataConfig.model_validate(data), TAXI, CleaningConfig(), {}, ())
    assert found.problems == []
    assert found.rows == 15_002
    assert found.columns["company"] == "bytes"


@pytest.mark.parametrize(
    ("changes", "where", "name"),
    [
        ({"features": {"fares": "numeric"}}, "data.features.fares", "fares"),
        ({"label": {"big_tip": "tip > 1"}}, "data.label", "tip"),
        ({"weight": "weigth"}, "data.weight", "weigth"),
        ({"slices": (("fare", "compny"),)}, "evaluation.slices.0", "compny"),
        ({"split": {"by": "time", "columns": ["notes"]}}, "data.split.columns", "notes"),
        ({"cleaning": [{"drop_missing": ["fare"]}, {"drop_missing": ["tpis"]}]}, "cleaning.1", "tpis"),
        ({"transform": {"both": [{"cross": ["fare", "compan"]}, {"hash": 10}]}}, "transform.both", "compan"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_the_nearest_one(tmp_path, changes, where, name):
    problem = only(look(tmp_path, [HEADER, *good(40)], **changes))
    assert problem.where == where
    assert repr(name) in problem.received
    if name != "weigth":
        assert "Did you mean" in problem.remedy
    assert "fare, tips, company, note" in problem.expected


def test_all_problems_come_at_once(tmp_path):
    rows = [HEADER, *good(20), "cheap,1,Flash,a"]
    found = look(tmp_path, rows, features={"fare": "numeric", "compny": "categorical"}, slices=(("hour",),))
    assert [problem.where for problem in found.problems] == [
        "data.features.compny", "evaluation.slices.0", "data.features.fare",
    ]  # fmt: skip


@pytest.mark.parametrize(("content", "received"), [(b"", "an empty file"), (HEADER.encode() + b"\n", "without a row")])
def test_a_file_without_rows_is_refused(tmp_path, content, received):
    problem = only(look(tmp_path, content))
    assert problem.where == "data.path"
    assert received in problem.received


@pytest.mark.parametrize("value", ["", "nan", '""'])
def test_a_row_without_a_label_is_found(tmp_path, value):
    rows = [HEADER, *good(20), f"10,{value},Flash,a", *good(5), f"10,{value},Flash,b"]
    problem = only(look(tmp_path, rows))
    assert problem.where == "data.label"
    # 20 good rows in 24 lines, after the header.
    assert f"2 rows without 'tips' (empty or NaN) that cleaning keeps; the first is {tmp_path}/data.csv, line 26" in (
        problem.received
    )
    assert problem.remedy == "Drop them: cleaning: - drop_missing: [tips]."


def test_cleaning_may_drop_the_rows_without_a_label(tmp_path):
    rows = [HEADER, *good(20), "10,,Flash,a", "nan,1,Flash,b", ",1,Flash,b"]
    assert look(tmp_path, rows, cleaning=[{"drop_missing": ["tips", "fare"]}]).problems == []
    assert [p.where for p in look(tmp_path, rows, cleaning=[{"drop_missing": ["tips"]}]).problems] == ["data.label"]


def test_another_step_may_drop_them_too(tmp_path):
    rows = [HEADER, *good(20), "999,,Flash,a"]
    assert look(tmp_path, rows, cleaning=[{"keep_range": {"column": "fare", "max": 500}}]).problems == []
    assert look(tmp_path, rows, cleaning=[{"keep_range": {"column": "fare", "max": 1000}}]).problems


def test_a_row_without_a_weight_is_found(tmp_path):
    problem = only(look(tmp_path, [HEADER, *good(20), ",1,Flash,a"], weight="fare", label="company"))
    assert problem.where == "data.weight"
    assert "1 row without 'fare'" in problem.received


def test_labels_that_are_all_the_same_are_refused(tmp_path):
    problem = only(look(tmp_path, [HEADER, *good(20)], label={"big_tip": "tips > 100 * fare"}))
    assert problem.where == "data.label"
    assert "tips > 100 * fare is False" in problem.received
    assert only(look(tmp_path, ["y,x", "a,1", "a,2"], label="y", features={"x": "numeric"})).received.endswith("y is a")


def test_cleaning_that_drops_every_row_is_refused(tmp_path):
    problem = only(look(tmp_path, [HEADER, *good(20)], cleaning=[{"keep_range": {"column": "fare", "min": 100}}]))
    assert problem.where == "cleaning"
    assert "drop all 20 rows" in problem.received


def test_text_in_a_numeric_column_is_counted_and_found(tmp_path):
    rows = [HEADER, *good(20), "cheap,1,Flash,a", "99999999999999999999,1,Flash,b", "cheap,2,Flash,c"]
    problem = only(look(tmp_path, rows))
    assert problem.where == "data.features.fare"
    assert problem.received == f"'cheap' in {tmp_path}/data.csv, line 26, and 2 more that are no numbers"
    assert "declare the column categorical" in problem.remedy


def test_text_where_the_label_calculates_is_found(tmp_path):
    problem = only(look(tmp_path, [HEADER, *good(20), "1,much,Flash,a"], features={"company": "categorical"}))
    assert (problem.where, problem.received) == ("data.label", f"'much' in {tmp_path}/data.csv, line 26")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,2,Flash", "3 values for 4 columns"),
        ("1,2,Flash,a,b", "5 values for 4 columns"),
        ('1,2,"Flash,a', "3 values for 4 columns, read over 4 lines: is a quote missing?"),
    ],
)
def test_a_row_that_cannot_be_read_is_found(tmp_path, row, reason):
    problem = only(look(tmp_path, [HEADER, *good(20), row, *good(3)]))
    assert problem.where == "data.path"
    assert problem.received == f"{tmp_path}/data.csv, line 26: {reason}"
    assert "data.on_bad_row: quarantine" in problem.remedy


def test_bytes_that_are_no_text_are_found(tmp_path):
    content = "\n".join([HEADER, *good(20)]).encode() + b"\n1,2,Fl\xffash,a\n"
    problem = only(look(tmp_path, content))
    assert "line 26, column 'company': bytes that are not UTF-8" in problem.received


def test_a_broken_row_and_text_among_numbers_are_both_found(tmp_path):
    found = look(tmp_path, [HEADER, *good(20), "cheap,1,Flash,a"])
    assert [problem.where for problem in found.problems] == ["data.features.fare"]
    two = look(tmp_path, [HEADER, "cheap,1,Flash,a", *good(20), 'x,"1,Flash'])
    assert [problem.where for problem in two.problems] == ["data.path", "data.features.fare"]


def test_bad_rows_in_quarantine_are_no_problem_but_their_number_may_be(tmp_path):
    rows = [HEADER, *good(20), "cheap,1,Flash,a", "1,2", *good(20), "10,,Flash,unlabelled"]
    found = look(tmp_path, rows, on_bad_row="quarantine", quarantine={"max_fraction": 0.1})
    assert found.rows == 41
    # The line is that of the raw file, bad rows counted.
    assert only(found).received.endswith("line 52")
    many = look(tmp_path, rows[:-1], on_bad_row="quarantine")
    assert only(many).where == "data.quarantine.max_fraction"
    assert "2 bad rows of 42 (4.76%); the first: " in only(many).received


def test_a_feature_without_any_value_is_refused(tmp_path):
    problem = only(look(tmp_path, ["x,y", "1,", "2,", "3,"], label="x", features={"y": "numeric"}))
    assert problem.where == "data.features.y"
    assert "no value in any row" in problem.received


def test_a_cleaning_step_on_the_wrong_kind_of_column_is_refused(tmp_path):
    problem = only(look(tmp_path, [HEADER, *good(20)], cleaning=[{"keep_range": {"column": "company", "min": 1}}]))
    assert problem.where == "cleaning.0"
    assert "keep_range on column 'company', which holds text" in problem.received


def test_a_label_that_does_not_fit_the_task_is_refused(tmp_path):
    rows = ["y,who", "1,a", "2,b", "0,a", "2,b"]
    binary = only(look(tmp_path, rows, label="y", features={"who": "categorical"}, task="binary_classification"))
    assert binary.received == f"the label 2 in {tmp_path}/data.csv, line 3, and 1 more"
    assert look(tmp_path, rows, label="y", features={"who": "categorical"}, task="regression").problems == []
    text = only(look(tmp_path, rows, label="who", features={"y": "numeric"}, task="binary_classification"))
    assert text.remedy == "Compare it with the text that means yes: label: {who_is_b: who == 'b'}."
    assert only(look(tmp_path, rows, label="who", features={"y": "numeric"}, task="regression")).expected == "numbers"


def test_files_that_are_not_there_are_a_problem(tmp_path):
    data = {"path": "x", "label": "y", "features": {"x": "numeric"}}
    found = check(DataConfig.model_validate(data), str(tmp_path / "x.csv"), CleaningConfig(), {}, ())
    assert only(found).where == "data.path"


@pytest.mark.parametrize("ending", ["parquet", "tfrecord.gz"])
def test_other_formats_are_looked_at_too(tmp_path, ending):
    rows = {
        "fare": [1.0, 2.0, 3.0, None], "tips": [1.0, 0.0, float("nan"), 0.5], "company": ["a", "b", "a", "b"],
    }  # fmt: skip
    path = tmp_path / f"data.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table(rows), path)
    else:
        with ExampleWriter(tmp_path, "data") as writer:
            writer.write(encode_examples(pa.RecordBatch.from_pydict(rows)))
        writer.path.rename(path)
    data = {
        "path": str(path), "label": {"big": "tips > 0.2 * fare"}, "weight": "weight",
        "features": {"fare": "numeric", "company": "numeric"},
    }  # fmt: skip
    config = CleaningConfig.model_validate([{"drop_missing": ["fare"]}])
    found = check(DataConfig.model_validate(data), str(path), config, {}, ())
    assert [(problem.where, problem.received) for problem in found.problems] == [
        ("data.weight", "column 'weight', which the data do not have"),
        ("data.features.company", "column 'company', which holds text"),
        ("data.label", "1 row without 'tips' (empty or NaN) that cleaning keeps; the first is row 3"),
    ]
    assert found.rows == 4


def test_asking_loads_nothing_heavy():
    code = "import sys, components.data.preflight\nprint(*{'pyarrow', 'tfx', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
