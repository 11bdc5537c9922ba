"""Predictions from files and rows equal those of the signature that the server answers with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from components.errors import SpecError
from components.serving import predict
from components.serving.predict import predict_rows, read_rows
from tests.integration.served_models import publish_model

ROWS: list[dict[str, Any]] = [
    {"company": "Flash", "fare": 10.0, "trip_miles": 2.5},
    {"company": None, "fare": None, "trip_miles": 2},
    {"company": "007", "fare": 100.5, "trip_miles": None},
]
EXPECTED = [0.135, 0.62, 0.2005]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base_path = tmp_path_factory.mktemp("taxi")
    publish_model(base_path, 1, bias=5.0)
    publish_model(base_path, 2, bias=0.1)
    return base_path


def test_rows_may_lack_values(served: Path) -> None:
    predictions = predict_rows(served, ROWS)
    assert [row["probability"] for row in predictions.rows()] == pytest.approx(EXPECTED)
    assert predictions.notes == ()


def test_the_current_version_predicts_unless_one_is_named(served: Path) -> None:
    assert predict_rows(served / "1", ROWS[:1]).rows()[0]["probability"] == pytest.approx(5.035)


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl", "json"])
def test_every_kind_of_file_gives_the_same(served: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"rows.{kind}"
    if kind == "csv":
        file.write_text("company,fare,trip_miles\nFlash,10,2.5\n,,2\n007,100.5,\n")
    elif kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(ROWS), file)
    else:
        file.write_text(json.dumps(ROWS) if kind == "json" else "\n".join(map(json.dumps, ROWS)))
    assert predict_rows(served, read_rows(file, served)).table["probability"].to_pylist() == pytest.approx(EXPECTED)


def test_text_that_looks_like_a_number_stays_text(served: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("company,fare,trip_miles\n007,1,1\n08,1,1\n")
    table = read_rows(tmp_path / "rows.csv", served)
    assert table["company"].to_pylist() == ["007", "08"]


def test_columns_that_are_no_features_are_noted(served: Path) -> None:
    predictions = predict_rows(served, [{**ROWS[0], "tips": 3, "driver": "x"}])
    assert predictions.notes == ("not used: tips, driver",)


def test_a_feature_without_a_column_is_refused_with_the_nearest(served: Path) -> None:
    with pytest.raises(SpecError) as caught:
        predict_rows(served, [{"company": "Flash", "trip_mile": 1.0}])
    fare, miles = caught.value.problems
    assert (fare.where, fare.remedy) == ("fare", "Add the column; its values may be missing.")
    assert (miles.where, miles.remedy) == ("trip_miles", "Rename column 'trip_mile' to 'trip_miles'.")
    assert miles.received == "no such column among company, trip_mile"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fare": "ten"}, "fare, row 2: got 'ten'; expected a number"),
        ({"fare": True}, "fare, row 2: got True; expected a number"),
        ({"company": 1.5}, "company, row 2: got 1.5; expected text"),
    ],
)
def test_a_wrong_value_is_named_with_its_row(served: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        predict_rows(served, [ROWS[0], {**ROWS[0], **change}])


def test_a_bad_cell_of_a_csv_file_is_named_with_its_row(served: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("company,fare,trip_miles\nFlash,10,1\nFlash,,1\nFlash,n/a,1\n")
    with pytest.raises(SpecError, match="fare, row 3: got 'n/a'; expected a number"):
        predict_rows(served, read_rows(tmp_path / "rows.csv", served))


def test_many_rows_go_through_in_pieces_and_in_order(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "ROWS_A_CALL", 4)
    rows = [{"company": "Flash", "fare": 0.0, "trip_miles": float(number)} for number in range(11)]
    found = predict_rows(served, rows).table["probability"].to_pylist()
    assert found == pytest.approx([0.1 + number / 100 for number in range(11)])


def test_no_rows_give_no_predictions(served: Path) -> None:
    empty = pa.table({"company": pa.array([], pa.string()), "fare": pa.array([], pa.float32()), "trip_miles": []})
    assert predict_rows(served, empty).table.num_rows == 0


def test_a_folder_without_a_model_and_an_unknown_file_are_refused(served: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="holds no model; expected a pushed model. Run the pipeline first"):
        predict_rows(tmp_path, ROWS)
    with pytest.raises(SpecError, match=r"got a .xlsx file; expected .csv, .parquet, .jsonl, .json"):
        read_rows(tmp_path / "rows.xlsx", served)
    with pytest.raises(SpecError, match="expected a readable .csv file"):
        read_rows(tmp_path / "nothing.csv", served)
