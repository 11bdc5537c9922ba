"""The rows of a query are raw data like those of a file; what cannot be read names the table or column."""

from __future__ import annotations

import csv
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from components.cleaning.config import CleaningConfig
from components.data import preflight
from components.data.config import DataConfig
from components.data.ingest import ingest
from components.data.source import fingerprint, list_files, resolve, with_digests
from components.engine.examples import read_records, split_directory
from components.errors import SpecError
from tests.factories.sluice_command import Sluice
from tests.factories.small_project import write_project

TAXI = resolve("package:tfx/examples/chicago_taxi_pipeline/data/simple/data.csv", "/")


@pytest.fixture(scope="module")
def taxi_db(tmp_path_factory) -> Path:
    """The taxi trips in a table; numbers as numbers, empty cells as NULL."""
    path = tmp_path_factory.mktemp("db") / "taxi.db"
    with open(TAXI, newline="") as file:
        header, *rows = csv.reader(file)
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE trips ({', '.join(f'{name} NUMERIC' for name in header)})")
        marks = ", ".join("?" * len(header))
        database.executemany(f"INSERT INTO trips VALUES ({marks})", [[c or None for c in row] for row in rows])  # noqa: S608
        database.execute("UPDATE trips SET company = CAST(company AS TEXT)")
    database.close()
    return path


def data(path: Path | str, query: str = "SELECT * FROM trips", **more) -> DataConfig:
    written = {"path": f"sqlite:///{path}", "query": query, "label": "tips", "features": {"fare": "numeric"}}
    return DataConfig.model_validate({**written, **more})


def read(section: DataConfig, target: Path) -> dict[str, Counter[bytes]]:
    ingest(section.ingest, section.path, target, {})
    folders = {split: split_directory(target, split) for split in ("train", "eval")}
    return {
        split: Counter(record for records in read_records(folder) for record in records.to_pylist())
        for split, folder in folders.items()
    }


def test_a_table_becomes_the_examples_of_its_csv_file(taxi_db, tmp_path):
    from_file = DataConfig(path=TAXI, label={"name": "t", "expression": "tips"}, features={"fare": "numeric"})
    assert read(data(taxi_db), tmp_path / "db") == read(from_file, tmp_path / "csv")


def test_the_query_chooses_rows_and_computes_columns(taxi_db, tmp_path):
    query = "SELECT fare, tips, fare * 2 AS twice, payment_type FROM trips WHERE fare > 20 ORDER BY trip_miles"
    summary = ingest(data(taxi_db, query).ingest, f"sqlite:///{taxi_db}", tmp_path, {})
    with sqlite3.connect(taxi_db) as database:
        assert summary["rows"] == database.execute("SELECT COUNT(*) FROM trips WHERE fare > 20").fetchone()[0]
    database.close()
    kinds = {"fare": "float32", "tips": "float32", "twice": "float32", "payment_type": "bytes"}
    assert summary["columns"] == kinds


def test_the_fingerprint_follows_the_content_also_where_it_is_not_merged_yet(tmp_path):
    path = tmp_path / "rows.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (x)")
    database.commit()

    def now() -> str:
        return fingerprint(with_digests(list_files(f"sqlite:///{path}")))

    before = now()
    assert now() == before
    database.execute("INSERT INTO t VALUES (1)")
    database.commit()
    assert now() != before
    database.close()


def test_what_is_written_meanwhile_is_not_seen(tmp_path):
    from components.data.sql_reader import SqliteTable

    path = tmp_path / "rows.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2);")
    table = SqliteTable(str(path), "SELECT x FROM t")
    database.execute("INSERT INTO t VALUES ('three')")
    database.commit()
    assert [batch.to_pydict() for batch in table.batches()] == [{"x": [1, 2]}]
    database.close()


def test_a_whole_pipeline_runs_from_a_database_and_notices_new_rows(tmp_path):
    spec = write_project(tmp_path / "mine", epochs=2, auc=0.5)
    with open(spec.parent / "cells.csv", newline="") as file:
        header, *rows = csv.reader(file)
    database = sqlite3.connect(spec.parent / "cells.db")
    database.execute(f"CREATE TABLE cells ({', '.join(f'{name} REAL' for name in header)})")
    database.executemany("INSERT INTO cells VALUES (?, ?, ?, ?)", rows)
    database.commit()
    written = spec.read_text().replace("cells.csv", "sqlite:///cells.db\n  query: SELECT * FROM cells")
    spec.write_text(written)
    sluice = Sluice(tmp_path / "root", tmp_path)
    sluice("run", str(spec))
    assert sluice.latest()["status"] == "pushed"
    assert "the raw data changed" not in sluice("plan", str(spec)).stdout
    database.execute("DELETE FROM cells WHERE radius > 25")
    database.commit()
    database.close()
    assert "the raw data changed" in sluice("plan", str(spec)).stdout
    spec.write_text(written.replace("* FROM", "*, 1 AS one FROM"))
    assert 'query "SELECT * FROM cells" →' in sluice("plan", str(spec)).stdout
    spec.write_text(written.replace("FROM cells", "FROM cellz"))
    refused = "".join(sluice("run", str(spec), check=2).stderr.split())  # the screen's width breaks lines anywhere
    assert "pipeline.yaml:6data.query" in refused
    assert "nosuchtable:cellz" in refused
    assert "Didyoumean'cells'?" in refused


REFUSED = [
    ("SELECT * FROM trip", r"data.query: got no such table: trip .*Did you mean 'trips'\?"),
    ("SELECT fares FROM trips", r"data.query: got no such column: fares .*Did you mean 'fare'\?"),
    ("SELECT t.zzz FROM trips t", "no such column: t.zzz .*The columns are pickup_community_area, fare"),
    ("SELECT FROM trips", "syntax error .*Correct the query; it can only read"),
    ("DELETE FROM trips", "attempt to write a readonly database"),
    ("SELECT 1; SELECT 2", "one statement at a time"),
    ("BEGIN", "data.query: got cannot start a transaction"),
    ("PRAGMA foreign_keys = 1", "a statement that returns no rows.*Write a SELECT"),
    ("SELECT fare, fare FROM trips", r"column 'fare' twice .*SELECT … AS fare_2"),
    ("SELECT CASE WHEN fare > 100 THEN 'much' ELSE fare END AS f FROM trips",
     r"column 'f' with both numbers and text, 'much' in row \d+ .*CAST\(f AS REAL\)"),
    ("SELECT fare FROM trips WHERE fare < 0", "data.path"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "message"), REFUSED)
def test_a_query_that_cannot_be_is_refused_before_the_run(taxi_db, query, message):
    found = preflight.check(data(taxi_db, query), f"sqlite:///{taxi_db}", CleaningConfig(), {}, [])
    assert any(re.search(message, str(problem)) for problem in found.problems), found.problems


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "rows.db").write_text("day,x\n" * 1000)
    with pytest.raises(SpecError, match="data.path: got .*file is not a database; expected an SQLite database"):
        ingest(data(tmp_path / "rows.db").ingest, f"sqlite:///{tmp_path}/rows.db", tmp_path / "out", {})
    with pytest.raises(SpecError, match="row.db', which is not there.*Did you mean 'rows.db'"):
        list_files(f"sqlite:///{tmp_path}/row.db")


SPECS_REFUSED = [
    ({"path": "sqlite:///rows.db"}, "data.path names a database; say which rows: data.query: SELECT"),
    (
        {"path": "rows.csv", "query": "SELECT 1"},
        "data.query needs a database: data.path: sqlite:///FILE and postgresql",
    ),
    ({"path": "postgresql://host/rows"}, "data.path names a database; say which rows"),
    ({"path": "postgresql+psycopg2://host/rows", "query": "SELECT 1"}, r"psycopg2:// is a .* Write postgresql://"),
    ({"path": "mysql://host/rows", "query": "SELECT 1"}, "mysql:// is a database that data.path does not read"),
    ({"path": "postgresql://me:hush@host/rows", "query": "SELECT 1"}, "a spec holds no password.*PGPASSWORD"),
    ({"path": "postgres://me@host/rows?password=hush", "query": "SELECT 1"}, "a spec holds no password.*~/.pgpass"),
    ({"path": "bigquery://project/rows"}, "bigquery:// is a database .* Export the rows to Parquet"),
]


@pytest.mark.parametrize(("change", "message"), SPECS_REFUSED)
def test_specs_that_name_half_a_database_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate({"label": "x", "features": {"y": "numeric"}, **change})


def test_a_path_of_a_database_starts_at_the_specs_folder():
    assert resolve("sqlite:///rows.db", "/project") == "sqlite:////project/rows.db"
    assert resolve("sqlite:////data/rows.db", "/project") == "sqlite:////data/rows.db"


def test_a_series_can_come_from_a_database(tmp_path):
    database = sqlite3.connect(tmp_path / "s.db")
    database.execute("CREATE TABLE s (day INTEGER, x REAL)")
    database.executemany("INSERT INTO s VALUES (?, ?)", [(at, at * 1.0) for at in range(50)])
    database.commit()
    database.close()
    section = DataConfig.model_validate(
        {
            "path": f"sqlite:///{tmp_path}/s.db", "query": "SELECT * FROM s ORDER BY x DESC", "label": "x_ahead_1",
            "series": {"time": "day", "values": "x", "past": 2, "step": 1}, "features": {"x_lag_*": "numeric"},
        }
    )  # fmt: skip
    summary = ingest(section.ingest, section.path, tmp_path / "out", {})
    assert summary["series"]["windows"] == 48 - 1


def test_reading_a_spec_loads_no_database_library():
    heavy = "'sqlite3', 'adbc_driver_postgresql', 'pyarrow'"
    code = f"import sys, pipelines.spec; sys.exit(any(name in sys.modules for name in ({heavy})))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
