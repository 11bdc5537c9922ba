"""Spans in a bucket, and the records of earlier runs there, read from a real S3 server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.data.config import IngestConfig, WindowConfig
from components.data.ingest import ingest
from components.data.source import fingerprint, list_files
from components.data.spans import Selection
from components.engine.storage import RemoteFolder
from components.errors import SpecError
from components.retraining.history import blessed_model, last_training, newest_first
from tests.factories.s3_server import S3Server
from tests.factories.spans import rows

pytestmark = pytest.mark.usefixtures("s3_credentials")


@pytest.fixture
def bucket(s3_server: S3Server, tmp_path: Path) -> RemoteFolder:
    """An own folder with spans 8 to 11, the last but one in two versions."""
    folder = RemoteFolder(s3_server.url(tmp_path.name))
    for span in range(8, 12):
        folder.write(f"rows/span-{span}/version-1/a.csv", rows(span, count=40).encode())
    folder.write("rows/span-10/version-2/a.csv", rows(99, count=40).encode())
    folder.write("rows/span-10/version-2/_SUCCESS", b"")
    folder.write("rows/notes/version-1/a.csv", b"")
    return folder


def data_path(s3_server: S3Server, tmp_path: Path) -> str:
    return s3_server.url(f"{tmp_path.name}/rows/span-{{SPAN}}/version-{{VERSION}}/*.csv")


def test_the_window_is_found_in_a_bucket(s3_server, bucket, tmp_path):
    files = list_files(data_path(s3_server, tmp_path), "auto", Selection(None, 3))
    assert [(file.span, file.version) for file in files] == [(9, 1), (10, 2), (11, 1)]
    assert files[1].path == s3_server.url(f"{tmp_path.name}/rows/span-10/version-2/a.csv")
    before = fingerprint(files)
    bucket.write("rows/span-9/version-2/a.csv", rows(98, count=41).encode())
    assert fingerprint(list_files(data_path(s3_server, tmp_path), "auto", Selection(None, 3))) != before
    assert fingerprint(list_files(data_path(s3_server, tmp_path), "auto", Selection(11, 1))) != before


def test_a_span_that_is_not_in_the_bucket_is_explained(s3_server, bucket, tmp_path):
    with pytest.raises(SpecError, match="span 12, which is not there; expected one of the 4 spans from 8 to 11"):
        list_files(data_path(s3_server, tmp_path), "auto", Selection(12))
    with pytest.raises(SpecError, match="which matches no span"):
        list_files(s3_server.url(f"{tmp_path.name}/nowhere/{{SPAN}}/*.csv"))


def test_the_rows_of_the_window_are_read(s3_server, bucket, tmp_path):
    config = IngestConfig(window=WindowConfig(spans=2))
    summary = ingest(config, data_path(s3_server, tmp_path), tmp_path / "examples", {"span": "10", "progress": "-"})
    assert summary["rows"] == 80
    assert summary["spans"] == [{"span": 9, "version": 1, "files": 1}, {"span": 10, "version": 2, "files": 1}]


def test_the_last_training_is_found_in_a_bucket(s3_server, bucket, tmp_path):
    root = s3_server.url(tmp_path.name)
    for name, status in (("f00d", "pushed"), ("cafe", "blocked"), ("beef", "skipped")):
        record = {"run_id": name, "status": status, "started": "2026-11-20T03:00:00+00:00"}
        bucket.write(f"runs/{name}/run.json", json.dumps(record).encode())
        bucket.write(f"runs/{name}/report.html", b"page")
    assert {run["run_id"] for run in newest_first(root)} == {"f00d", "cafe", "beef"}
    assert last_training(newest_first(root)).run_id in ("f00d", "cafe")
    model = {"version": 7, "run_id": "f00d", "at": "2026-11-21T03:00:00+00:00"}
    assert blessed_model(root, model).at.day == 20
    assert blessed_model(root, model | {"run_id": "gone"}).at.day == 21
