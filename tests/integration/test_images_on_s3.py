"""Images that a table in a bucket names, read from a real S3 server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv as pa_csv

from components.data.config import DataConfig
from components.data.ingest import ingest
from components.data.raw_files import raw_files
from components.data.source import fingerprint
from components.engine.storage import RemoteFolder
from tests.factories.s3_server import S3Server
from tests.integration.test_image_folders import png, rows_of

pytestmark = pytest.mark.usefixtures("s3_credentials")


def picture(shade: int) -> bytes:
    return png(np.full((4, 4), shade, np.uint8))


@pytest.fixture(params=["csv", "parquet"])
def table(request, s3_server: S3Server, tmp_path: Path) -> str:
    """A table and the images that it names, one beside it and one by its own URL; returns the table's URL."""
    bucket = RemoteFolder(s3_server.url(tmp_path.name))
    bucket.write("in/1.png", picture(10))
    bucket.write("else/2.png", picture(20))
    bucket.write("else/unnamed.png", picture(30))
    cells = ["1.png", s3_server.url(f"{tmp_path.name}/else/2.png"), ""] * 20
    content = pa.table({"image": cells, "kind": ["a", "b", "a"] * 20, "number": range(60)})
    write = pa_csv.write_csv if request.param == "csv" else pq.write_table
    write(content, tmp_path / "table")
    bucket.write(f"in/table.{request.param}", (tmp_path / "table").read_bytes())
    return s3_server.url(f"{tmp_path.name}/in/table.{request.param}")


def data(url: str) -> DataConfig:
    return DataConfig.model_validate({"path": url, "label": "kind", "features": {"image": "image"}})


def test_their_bytes_become_the_rows(table: str, tmp_path: Path):
    ingest(data(table).ingest, table, tmp_path / "out", {})
    assert {row["image"] for row in rows_of(tmp_path / "out")} == {picture(10), picture(20), None}


def test_their_changes_enter_the_fingerprint(table: str, s3_server: S3Server, tmp_path: Path):
    bucket = RemoteFolder(s3_server.url(tmp_path.name))

    def now() -> str:
        return fingerprint(raw_files(data(table), table))

    before = now()
    assert now() == before
    bucket.write("else/unnamed.png", picture(31))
    assert now() == before
    bucket.write("in/1.png", picture(11) + b"more")  # the store's clock counts seconds, so the size differs too
    beside = now()
    assert beside != before
    bucket.write("else/2.png", picture(2) + b"longer")
    assert now() not in (before, beside)
    bucket.delete("in/1.png")
    assert fingerprint(raw_files(data(table), table)) != beside
