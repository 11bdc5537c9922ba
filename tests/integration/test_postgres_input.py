"""The rows of a query on a real PostgreSQL server are raw data like those of a file."""

from __future__ import annotations

import csv
import doctest
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.cleaning.config import CleaningConfig
from components.data import arrow_types, database, preflight, raw_check
from components.data.config import DataConfig
from components.data.ingest import ingest
from components.data.postgres_reader import PostgresTable
from components.data.raw_files import raw_files
from components.data.source import fingerprint, resolve
from components.engine.examples import read_records, split_directory
from components.errors import SpecError
from tests.factories.postgres_server import PASSWORD, USER, PostgresServer, running
from tests.factories.sluice_command import Sluice
from tests.factories.small_project import write_project

TAXI = resolve("package:tfx/examples/chicago_taxi_pipeline/data/simple/data.csv", "/")
TEXTS = ("payment_type", "company")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server with the taxi trips in a table; empty cells are NULL."""
    with open(TAXI, newline="") as file:
        header, *rows = csv.reader(file)
    whole = {name for at, name in enumerate(header) if all(re.fullmatch(r"-?\d*", row[at]) for row in rows)}
    kinds = {name: "text" if name in TEXTS else "bigint" if name in whole else "numeric" for name in header}
    columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    with running() as started:
        started.sql(f"CREATE TABLE trips ({columns}); INSERT INTO trips VALUES {values};")  # noqa: S608
        yield started


def literal(cell: str) -> str:
    return "'{}'".format(cell.replace("'", "''")) if cell else "NULL"


@pytest.fixture(autouse=True)
def password(monkeypatch, tmp_path) -> None:
    """The password is where PostgreSQL's own programs look for it."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("HOME", str(tmp_path))


def data(server: PostgresServer, query: str = "SELECT * FROM trips", **more) -> DataConfig:
    written = {"path": server.url, "query": query, "label": "tips", "features": {"fare": "numeric"}}
    return DataConfig.model_validate({**written, **more})


def look(section: DataConfig) -> preflight.Preflight:
    return preflight.check(section, section.path, CleaningConfig(), {}, [])


def read(section: DataConfig, target: Path) -> dict[str, Counter[bytes]]:
    ingest(section.ingest, section.path, target, {})
    folders = {split: split_directory(target, split) for split in ("train", "eval")}
    return {
        split: Counter(record for records in read_records(folder) for record in records.to_pylist())
        for split, folder in folders.items()
    }


def values_of(server: PostgresServer, query: str, work: Path | None = None) -> tuple[dict[str, str], dict]:
    table = PostgresTable(server.url, query, work)
    (batch,) = table.batches()
    return table.columns, batch.to_pydict()


def test_a_table_becomes_the_examples_of_its_csv_file(server, tmp_path):
    from_file = DataConfig(path=TAXI, label={"name": "t", "expression": "tips"}, features={"fare": "numeric"})
    assert read(data(server), tmp_path / "db") == read(from_file, tmp_path / "csv")


def test_the_query_chooses_rows_and_may_end_in_a_semicolon_or_a_comment(server, tmp_path):
    wanted = int(server.sql("SELECT count(*) FROM trips WHERE fare > 20")[0])
    for query in (
        "SELECT fare, tips, fare * 2 AS twice FROM trips WHERE fare > 20 ORDER BY trip_miles;\n",
        "SELECT fare, tips, fare * 2 AS twice FROM trips WHERE fare > 20 -- the long ones",
    ):
        summary = ingest(data(server, query).ingest, server.url, tmp_path / str(len(query)), {})
        assert summary["rows"] == wanted
        assert summary["columns"] == {"fare": "float32", "tips": "float32", "twice": "float32"}


TYPES = [
    ("7::smallint", "int64", 7),
    ("7::bigint", "int64", 7),
    ("true", "int64", 1),
    ("1.5::real", "float32", 1.5),
    ("0.1::double precision", "float32", pytest.approx(0.1)),
    ("12345.25::numeric(10, 2)", "float32", 12345.25),
    ("'Infinity'::numeric", "float32", float("inf")),
    ("'é'::varchar(3)", "bytes", "é".encode()),
    (r"'\x00ff'::bytea", "bytes", b"\x00\xff"),
    ("""'{"a": 1}'::jsonb""", "bytes", b'{"a": 1}'),
    ("DATE '2026-01-31'", "bytes", b"2026-01-31"),
    ("TIMESTAMP '2026-01-31 23:30'", "bytes", b"2026-01-31 23:30:00.000000"),
    ("TIMESTAMPTZ '2026-01-31 23:30-02'", "bytes", b"2026-02-01 01:30:00.000000Z"),
    ("NULL::bigint", "int64", None),
]  # fmt: skip


def test_each_type_becomes_what_an_example_can_hold(server, tmp_path):
    query = "SELECT " + ", ".join(f"{value} AS c{at}" for at, (value, _, _) in enumerate(TYPES))
    columns, found = values_of(server, query, tmp_path)
    assert columns == {f"c{at}": kind for at, (_, kind, _) in enumerate(TYPES)}
    assert [found[f"c{at}"] for at in range(len(TYPES))] == [[value] for _, _, value in TYPES]


def test_all_passes_see_the_rows_in_the_order_of_the_first(server, tmp_path):
    table = PostgresTable(server.url, "SELECT g, random() AS r FROM generate_series(1, 100000) g ORDER BY r", tmp_path)
    first, again = ([row for batch in table.batches(["g"]) for row in batch["g"].to_pylist()] for _ in range(2))
    assert table.rows == len(first) == 100_000
    assert first == again
    assert first != sorted(first)


def test_a_look_before_the_run_does_not_fetch_all_rows(server, monkeypatch):
    monkeypatch.setattr(raw_check, "FETCH_AT_MOST", 1 << 20)
    query = "SELECT g::float8 AS fare, g % 7 AS tips FROM generate_series(1, 2000000) g"
    found = look(data(server, query))
    assert not found.problems
    assert 0 < found.rows < 2_000_000
    assert not found.complete


def test_the_look_finds_what_is_wrong_with_the_rows(server):
    found = look(data(server, "SELECT fare, company AS tips FROM trips", features={"fares": "numeric"}))
    assert any("'fares', which the data do not have" in str(one) for one in found.problems)
    found = look(data(server, "SELECT fare, CASE WHEN fare < 9 THEN tips END AS tips FROM trips"))
    assert any("without 'tips'" in str(one) for one in found.problems)


def test_the_fingerprint_follows_rows_and_names_but_not_their_order(server):
    server.sql("CREATE TABLE small (x int, y text); INSERT INTO small VALUES (1, 'a'), (2, 'b'), (2, 'b')")

    def now(query: str = "SELECT * FROM small") -> str:
        return fingerprint(raw_files(data(server, query), server.url))

    before = now()
    assert now("SELECT * FROM small ORDER BY x DESC -- turned") == before
    server.sql("UPDATE small SET x = x")  # writes the rows to other places
    assert now() == before
    server.sql("UPDATE small SET y = 'c' WHERE x = 1")
    changed = now()
    assert changed != before
    server.sql("DELETE FROM small WHERE ctid = (SELECT max(ctid) FROM small WHERE x = 2)")
    assert now() not in (before, changed)
    server.sql("TRUNCATE small; INSERT INTO small VALUES (1, 'a'), (2, 'b'), (2, 'b')")
    assert now() == before
    server.sql("ALTER ROLE sluice SET TimeZone = 'Asia/Tokyo'; ALTER TABLE small RENAME x TO z")
    assert now() != before
    server.sql("ALTER ROLE sluice RESET TimeZone; DROP TABLE small")


def test_a_plan_says_whether_the_rows_have_changed(server, tmp_path):
    spec = write_project(tmp_path / "mine", epochs=2, auc=0.5)
    with open(spec.parent / "cells.csv", newline="") as file:
        header, *rows = csv.reader(file)
    columns = ", ".join(f"{name} float8" for name in header)
    values = ", ".join(f"({', '.join(row)})" for row in rows)
    server.sql(f"CREATE TABLE cells ({columns}); INSERT INTO cells VALUES {values}")  # noqa: S608
    written = spec.read_text().replace("cells.csv", f"{server.url}\n  query: SELECT * FROM cells")  # noqa: S608
    spec.write_text(written)
    sluice = Sluice(tmp_path / "root", tmp_path)
    sluice("run", str(spec), "--to", "ExampleGen")
    planned = sluice("plan", str(spec)).stdout
    assert "from a database server" in planned
    assert "the raw data changed" not in planned
    server.sql("UPDATE cells SET radius = radius + 1 WHERE ctid = (SELECT min(ctid) FROM cells)")
    assert "the raw data changed" in sluice("plan", str(spec)).stdout
    spec.write_text(written.replace("FROM cells", "FROM cellz"))
    refused = "".join(sluice("plan", str(spec), check=2).stderr.split())  # the screen's width breaks lines anywhere
    assert "pipeline.yaml:6data.query" in refused
    assert "Didyoumean'cells'?" in refused
    spec.write_text(written.replace(f"{USER}@", f"{USER}:hush-hush@"))
    address = f"data.path={server.url}?password=hush-hush"
    for refused in (sluice("plan", str(spec), check=2), sluice("plan", str(spec), address, check=2)):
        assert "PGPASSWORD" in refused.stderr
        assert "data.path" in refused.stderr
        assert "hush-hush" not in refused.stderr + refused.stdout


REFUSED = [
    ("SELECT * FROM trip", r'data.query: got relation "trip" does not exist .*Did you mean \'trips\'\?'),
    ("SELECT * FROM public.qqqqq", r"The tables are .*trips"),
    ("SELECT fares FROM trips", r'column "fares" does not exist .*Did you mean \'fare\'\?'),
    ("SELECT t.zzz FROM trips t", r"column t.zzz does not exist .*The columns are company, "),
    ("SELECT FRM trips", r'"frm" does not exist|syntax error'),
    ("SELECT (1 FROM trips", "syntax error .*Correct the query; it is one SELECT"),
    ("SELECT 1 AS x; SELECT 2", "cannot insert multiple commands .*it is one SELECT"),
    ("SHOW ALL", "syntax error"),
    ("BEGIN", "a statement that returns no rows.*Write a SELECT"),
    ("DELETE FROM trips", "a statement that returns no rows.*Write a SELECT"),
    ("DELETE FROM trips RETURNING fare", "cannot execute DELETE in a read-only .*the session can only read"),
    ("SELECT fare, fare FROM trips", r"column 'fare' twice .*SELECT … AS fare_2"),
    ("SELECT 1 / 0 AS fare", "division by zero"),
    ("SELECT fare, 1 / (fare - fare) AS tips FROM trips", "division by zero"),
    ("SELECT '10.0.0.1'::inet AS a", r"column 'a' of type inet .*a::text AS a"),
    ("SELECT ARRAY[1, 2] AS a", r"column 'a' of type int4\[\] .*a::text AS a"),
    ("SELECT ROW(1, 2) AS a", "column 'a' of type record"),
    ("SELECT gen_random_uuid() AS a", "column 'a' of type uuid"),
    ("SELECT INTERVAL '1 day' AS a", "column 'a' of type interval"),
    ("SELECT point(1, 2) AS a", "column 'a' of type point"),
    ("SELECT fare, tips FROM trips WHERE fare < 0", "data without a row"),
]


@pytest.mark.parametrize(("query", "message"), REFUSED)
def test_a_query_that_cannot_be_is_refused_before_the_run(server, query, message):
    found = look(data(server, query))
    assert any(re.search(message, str(problem), re.DOTALL) for problem in found.problems), found.problems


ADDRESSES = [
    (("sluice@", "nobody@"), "password authentication failed .*a user and a password that the server knows"),
    (("/rows", "/row"), r'database "row" does not exist.*Correct the end of data.path'),
    (("127.0.0.1", "no-such-host.invalid"), "could not translate host name.*Correct the host"),
    (("PORT", "1"), "Connection refused .*Check host and port"),
    (("/rows", "/rows?sslmode=require"), "does not support SSL.*sslmode"),
    (("/rows", "/rows?colour=red"), "invalid URI query parameter.*Check the address"),
]


@pytest.mark.parametrize(("change", "message"), ADDRESSES)
def test_an_address_that_does_not_answer_says_what_to_correct(server, change, message):
    url = server.url.replace(change[0].replace("PORT", str(server.port)), change[1])
    with pytest.raises(SpecError, match=re.compile(f"data.path: got .*{message}", re.DOTALL)):
        PostgresTable(url, "SELECT 1 AS x")


def test_the_password_comes_from_where_postgresql_keeps_it(server, tmp_path, monkeypatch):
    monkeypatch.delenv("PGPASSWORD")
    with pytest.raises(SpecError, match="no password supplied.*Set PGPASSWORD, or write the password into ~/.pgpass"):
        PostgresTable(server.url, "SELECT 1 AS x")
    kept = tmp_path / "kept"
    kept.write_text(f"127.0.0.1:{server.port}:*:{USER}:{PASSWORD}\n")
    kept.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(kept))
    assert values_of(server, "SELECT 1 AS x") == ({"x": "int64"}, {"x": [1]})


def test_rows_that_cannot_be_read_to_the_end_stop_the_run(server, tmp_path):
    query = "SELECT fare, 100 / (g - 90000) AS tips FROM generate_series(1, 100000) g, (SELECT 1.0 AS fare) f"
    with pytest.raises(SpecError, match="data.query: got .*division by zero"):
        ingest(data(server, query).ingest, server.url, tmp_path / "out", {})


def test_a_series_can_come_from_a_server(server, tmp_path):
    section = DataConfig.model_validate(
        {
            "path": server.url, "label": "x_ahead_1", "features": {"x_lag_*": "numeric"},
            "query": "SELECT g AS day, g::float8 AS x FROM generate_series(0, 49) g ORDER BY x DESC",
            "series": {"time": "day", "values": "x", "past": 2, "step": 1},
        }
    )  # fmt: skip
    assert not look(section).problems
    summary = ingest(section.ingest, section.path, tmp_path / "out", {})
    assert summary["series"]["windows"] == 48 - 1


@pytest.mark.parametrize("module", [arrow_types, database])
def test_the_examples_in_the_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
