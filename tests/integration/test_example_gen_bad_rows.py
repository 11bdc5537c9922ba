"""Bad rows end the run with their real place, or go to quarantine and are counted."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest

from components.data.config import IngestConfig
from components.data.ingest import ingest
from components.engine.examples import read_batches, split_directory
from components.errors import ComponentError, SpecError

HEADER = "fare,company,note\n"


def rows(count: int) -> list[bytes]:
    """Good rows; every tenth takes three lines, and there are some blank ones."""
    made = []
    for n in range(count):
        note = f'"first\nsecond, ""really""\nrow {n}"' if n % 10 == 3 else f"row {n}"
        made.append(f"{n / 4},Blue Cab,{note}\n".encode() + (b"\n" if n % 25 == 0 else b""))
    return made


def make(path: Path, target: Path, **config: Any) -> dict[str, Any]:
    return ingest(IngestConfig.model_validate({"numeric": ["fare"], **config}), str(path), target, {})


BAD = {
    "short": (b"1.5,Blue Cab\n", r"2 values for 3 columns", None),
    "long": (b"1.5,Blue Cab,a,b\n", r"4 values for 3 columns", None),
    "encoding": (b"1.5,Blue \xff Cab,a\n", r"not UTF-8", "company"),
    "text": (b"cheap,Blue Cab,a\n", r"not a number.*'cheap'", "fare"),
    "huge": (b"99999999999999999999,Blue Cab,a\n", r"fits 64 bits", "fare"),
    "quote": (b'1.5,"Blue Cab,a\n', r"a quote that never ends|values for 3 columns", None),
}


@pytest.fixture(params=BAD)
def bad(request, tmp_path):
    """A file with one bad row, its line, and what must be said."""
    line, reason, column = BAD[request.param]
    good = rows(400)
    path = tmp_path / "data.csv"
    before = HEADER.encode() + b"".join(good[:300])
    path.write_bytes(before + line + b"".join(good[300:]))
    return path, before.count(b"\n") + 1, reason, column


def test_a_bad_row_is_named_by_its_real_line(bad, tmp_path):
    path, line, reason, column = bad
    with pytest.raises(ComponentError, match=reason) as caught:
        make(path, tmp_path / "out")
    assert f"{path}, line {line}" in caught.value.message
    assert "data.on_bad_row: quarantine" in caught.value.remedy
    if column:
        assert f"column {column!r}" in caught.value.message
        assert caught.value.spec_path == f"data.features.{column}"


def test_a_bad_row_goes_to_quarantine(bad, tmp_path):
    path, line, _, column = bad
    summary = make(path, tmp_path / "out", on_bad_row="quarantine")
    assert summary["quarantined"] == 1
    assert summary["rows"] == 400
    with Path(summary["quarantine_file"]).open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["file"], int(row["line"]), row["column"]) == (str(path), line, column or "")
    assert row["text"]
    fares = sorted(
        fare
        for split in ("train", "eval")
        for batch in read_batches(split_directory(tmp_path / "out", split))
        for fare in batch.column("fare").to_pylist()
    )
    assert fares == [n / 4 for n in range(400)]


def test_an_unclosed_quote_at_the_end_is_found(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(HEADER.encode() + b"".join(rows(5)) + b'1.5,"Blue Cab,a\n1,2,3\n')
    with pytest.raises(ComponentError, match="line 10: a quote that never ends"):
        make(path, tmp_path / "out", numeric=[])
    assert make(path, tmp_path / "out", on_bad_row="quarantine", quarantine={"max_fraction": 0.5})["rows"] == 6


def test_many_bad_rows_are_all_set_aside(tmp_path):
    choose = random.Random(3)
    kinds = [line for line, _, _ in BAD.values()]
    content, wanted = [HEADER.encode()], []
    for good in rows(3_000):
        if choose.random() < 0.03:
            wanted.append(b"".join(content).count(b"\n") + 1)
            content.append(choose.choice(kinds))
        content.append(good)
    path = tmp_path / "data.csv"
    path.write_bytes(b"".join(content))
    summary = make(path, tmp_path / "out", on_bad_row="quarantine", quarantine={"max_fraction": 0.1})
    with Path(summary["quarantine_file"]).open(newline="") as file:
        found = [int(row["line"]) for row in csv.DictReader(file)]
    assert found == wanted
    assert summary["rows"] == 3_000


def test_too_many_bad_rows_stop_the_run(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(HEADER.encode() + b"".join(rows(40)) + b"x,y\n" * 2)
    with pytest.raises(ComponentError, match=r"2 of 42 rows are bad \(4\.76%\), more than 1\.00%") as caught:
        make(path, tmp_path / "out", on_bad_row="quarantine")
    assert caught.value.spec_path == "data.quarantine.max_fraction"


def test_a_quote_inside_a_word_is_no_bad_row(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(HEADER.encode() + b'1,5" pipe,a\n' + b"".join(rows(60)))
    assert make(path, tmp_path / "out")["rows"] == 61


def test_headers_that_differ_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("a,c\n1,2\n")
    with pytest.raises(SpecError, match=r"b\.csv:1.*other columns than in .*a\.csv \(b, c\)"):
        make(tmp_path / "*.csv", tmp_path / "out", numeric=[])


@pytest.mark.parametrize(("content", "message"), [("", "an empty file"), ("a,b,a\n", "column 'a' 2 times")])
def test_a_header_that_names_no_columns_is_refused(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(SpecError, match=message):
        make(tmp_path / "a.csv", tmp_path / "out", numeric=[])


def test_a_file_without_rows_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n")
    with pytest.raises(ComponentError, match="no rows"):
        make(tmp_path / "a.csv", tmp_path / "out", numeric=[])


def test_a_split_without_rows_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(ComponentError, match="gets none of the 1 rows"):
        make(tmp_path / "a.csv", tmp_path / "out", numeric=[])


def test_a_missing_split_column_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(ComponentError, match="data.split names column 'b'"):
        make(tmp_path / "a.csv", tmp_path / "out", numeric=[], split={"by": "time", "columns": ["b"]})
