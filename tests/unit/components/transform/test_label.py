"""Labels and weights of the transformed data, and rows that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.errors import ComponentError
from tests.factories import transforms

ROWS = pa.record_batch(
    {
        "fare": pa.array([10.0, 20.0, 30.0, 5.0], pa.float32()),
        "tips": pa.array([3.0, 1.0, 10.0, 0.0], pa.float32()),
        "paid": pa.array(["card", "cash", "card", "free"], pa.string()),
        "grade": pa.array([3, 1, 3, 2], pa.int64()),
        "yes": pa.array([1, 0, 1, 0], pa.int64()),
    }
)
CHAINS = {"fare": [{"fill_missing": "median"}]}


def run(tmp_path: Path, rows: pa.RecordBatch, expression: str, task: str, **more: Any) -> transforms.Made:
    from components.transform.checks import check_labels

    config = transforms.config_of({"fare": "numeric"}, CHAINS, task, more.pop("weight", None), expression=expression)
    made = transforms.run_in_process(tmp_path, config, {"train": rows, **more})
    check_labels(str(made.root / "transformed"), ["train", *more], config)
    return made


def without(column: str, row: int) -> pa.RecordBatch:
    rows = ROWS.to_pylist()
    rows[row][column] = None
    return pa.RecordBatch.from_pylist(rows, schema=ROWS.schema)


@pytest.mark.parametrize(
    ("expression", "task", "expected", "dtype"),
    [
        ("tips > 0.2 * fare", "binary_classification", [1, 0, 1, 0], np.int64),
        ("yes", "binary_classification", [1, 0, 1, 0], np.int64),
        ("paid == 'card'", "binary_classification", [1, 0, 1, 0], np.int64),
        ("tips / fare", "regression", np.float32([0.3, 0.05, 1 / 3, 0]), np.float32),
        ("fare", "regression", [10, 20, 30, 5], np.float32),
        ("paid", "multiclass_classification", [0, 2, 0, 1], np.int64),
        ("grade", "multiclass_classification", [0, 2, 0, 1], np.int64),
    ],
)
def test_a_label_is_computed(tmp_path: Path, expression: str, task: str, expected: Any, dtype: type) -> None:
    label = run(tmp_path, ROWS, expression, task).values()["label"]
    assert label.dtype == dtype
    np.testing.assert_allclose(label[:, 0], expected, rtol=1e-6)


def test_classes_have_names_by_falling_frequency(tmp_path: Path) -> None:
    from components.transform.outputs import label_vocabulary, num_classes

    made = run(tmp_path, ROWS, "paid", "multiclass_classification")
    assert label_vocabulary(made.graph) == ["card", "free", "cash"]
    assert num_classes(made.graph, "multiclass_classification") == 3


@pytest.mark.parametrize(
    ("column", "expression", "task"),
    [
        ("tips", "tips > 0.2 * fare", "binary_classification"),
        ("paid", "paid == 'card'", "binary_classification"),
        ("yes", "yes", "binary_classification"),
        ("fare", "fare", "regression"),
        ("paid", "paid", "multiclass_classification"),
    ],
)
def test_a_row_without_a_label_stops_the_run(tmp_path: Path, column: str, expression: str, task: str) -> None:
    with pytest.raises(ComponentError, match="In 1 rows of the split train the label") as caught:
        run(tmp_path, without(column, 2), expression, task)
    assert caught.value.spec_path == "data.label"
    assert f"drop_missing: [{column}" in str(caught.value.remedy) or column in str(caught.value.remedy)


def test_a_number_that_is_neither_0_nor_1_is_no_binary_label(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match=r"In 4 rows.*neither 0 nor 1") as caught:
        run(tmp_path, ROWS, "grade + 1", "binary_classification")
    assert "grade + 1 > 0" in str(caught.value.remedy)


def test_a_division_by_zero_is_no_label(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="In 1 rows of the split train"):
        run(tmp_path, ROWS, "fare / tips", "regression")


def test_a_class_that_no_training_row_has_stops_the_run(tmp_path: Path) -> None:
    other = pa.RecordBatch.from_pylist([{**ROWS.to_pylist()[0], "paid": "bitcoin"}], schema=ROWS.schema)
    with pytest.raises(ComponentError, match="In 1 rows of the split eval .* one that no training row has"):
        run(tmp_path, ROWS, "paid", "multiclass_classification", eval=other)


def test_text_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="calculates with 'paid', but the data hold text") as caught:
        run(tmp_path, ROWS, "paid + 1", "regression")
    assert caught.value.spec_path == "data.label"


@pytest.mark.parametrize(("task", "remedy"), [("binary_classification", "paid == 'yes'"), ("regression", "numbers")])
def test_text_alone_is_no_label_of_such_a_task(tmp_path: Path, task: str, remedy: str) -> None:
    with pytest.raises(ComponentError, match="The label 'paid' is text") as caught:
        run(tmp_path, ROWS, "paid", task)
    assert remedy in str(caught.value.remedy)


def test_weights_come_along_and_a_missing_or_negative_one_stops_the_run(tmp_path: Path) -> None:
    made = run(tmp_path / "good", ROWS, "fare", "regression", weight="tips")
    np.testing.assert_array_equal(made.values()["weight"][:, 0], np.float32([3, 1, 10, 0]))
    with pytest.raises(ComponentError, match="In 1 rows of the split train the weight 'tips' is missing") as caught:
        run(tmp_path / "missing", without("tips", 0), "fare", "regression", weight="tips")
    assert caught.value.spec_path == "data.weight"


def test_a_request_needs_no_label_and_its_missing_fare_is_filled_in(tmp_path: Path) -> None:
    made = run(tmp_path, ROWS, "tips > 0.2 * fare", "binary_classification")
    served = made.served([{"fare": 12.5}, {"fare": None}, {"fare": 12.5, "tips": None}])
    assert [each["fare"].item() for each in served] == [
        12.5,
        made.summary["chains"]["fare"]["learned"]["fill_value"],
        12.5,
    ]
    assert "label" not in served[0]
