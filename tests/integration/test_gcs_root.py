"""A pipeline's root and raw data on a Google Cloud Storage server of this machine: the same promises as on S3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.data.source import list_files
from components.engine.storage import RemoteFolder, StorageError
from components.engine.whole_folder import MANIFEST_ENDING, download_folder, is_whole, upload_folder
from components.errors import SpecError
from components.serving.shelf import RemoteShelf
from pipelines.api import Pipeline
from pipelines.lease import Lease
from pipelines.plan import Choices
from tests.factories.gcs_server import GcsServer
from tests.factories.small_project import write_cells, write_project

# TFX calls what protobuf calls deprecated, so near to Sluice's own frames that it is taken for Sluice's
pytestmark = pytest.mark.filterwarnings("ignore:label:DeprecationWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    made = GcsServer(tmp_path_factory.mktemp("gcs") / "log")
    yield made
    made.stop()


@pytest.fixture
def folder(server: GcsServer, tmp_path: Path) -> RemoteFolder:
    return RemoteFolder(server.url(f"unit/{tmp_path.name}"))


def test_objects_are_written_read_listed_and_deleted(folder):
    assert folder.files() == []
    assert folder.read("runs/7/run.json") is None
    folder.write("runs/7/run.json", b"one")
    folder.write("runs/7/run.json", b"two!")
    folder.write("state/x.json", b"")
    assert folder.read("runs/7/run.json") == b"two!"
    assert [(file.name, file.bytes) for file in folder.files()] == [("runs/7/run.json", 4), ("state/x.json", 0)]
    assert folder.folders() == ["runs", "state"]
    assert folder.folders("runs") == ["7"]
    folder.delete("runs/7/run.json", "never/was")
    assert folder.find("runs/7/run.json") is None
    folder.delete_folder("state")
    assert folder.files() == []


def test_a_folder_comes_back_whole_or_not_at_all(folder, tmp_path):
    source = tmp_path / "model"
    (source / "variables").mkdir(parents=True)
    (source / "variables" / "data").write_bytes(os.urandom(9 << 20))
    (source / "empty").mkdir()
    (source / "BLESSED").touch()
    upload_folder(source, folder, "a/8")
    download_folder(folder, "a/8", tmp_path / "back")
    assert (tmp_path / "back" / "variables" / "data").read_bytes() == (source / "variables" / "data").read_bytes()
    assert (tmp_path / "back" / "empty").is_dir()
    assert (tmp_path / "back" / "BLESSED").read_bytes() == b""
    folder.delete("a/8" + MANIFEST_ENDING)
    assert not is_whole(folder, "a/8")
    with pytest.raises(StorageError, match="never uploaded to its end"):
        download_folder(folder, "a/8", tmp_path / "again")


def test_a_bucket_that_is_not_there_is_told(server):
    missing = RemoteFolder(server.url("x").replace("bucket", "no-such-bucket", 1))
    with pytest.raises(StorageError, match="Make the bucket no-such-bucket first"):
        missing.check()


def test_spans_and_globs_are_found_where_no_object_stands_for_a_folder(server, folder):
    for name in ("span-1/a.csv", "span-2/a.csv", "span-2/deep/b.csv", "other/a.csv"):
        folder.write(name, b"x\n1\n")
    base, _, options = folder.full_url.partition("?")
    names = [
        file.path.partition("?")[0].removeprefix(f"{base}/") for file in list_files(f"{base}/span-*/*.csv?{options}")
    ]
    assert names == ["span-1/a.csv", "span-2/a.csv"]
    newest = list_files(f"{base}/span-{{SPAN}}/*.csv?{options}")
    assert [file.path.partition("?")[0].removeprefix(f"{base}/") for file in newest] == ["span-2/a.csv"]


def test_one_run_at_a_time(folder):
    first, second = Lease(folder), Lease(folder)
    first.acquire("first")
    with pytest.raises(SpecError, match="run first"):
        second.acquire("second")
    first.release()
    second.acquire("second")
    second.release()


def test_a_run_from_a_bucket_to_a_bucket_goes_on_elsewhere(server, tmp_path, monkeypatch):
    raw = RemoteFolder(server.url("raw"))
    write_cells(tmp_path / "cells.csv")
    raw.write("2026/cells.csv", (tmp_path / "cells.csv").read_bytes())
    spec = write_project(tmp_path / "project", data=server.url("raw/2026/*.csv"))
    root = server.url("team/cells")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    result = Pipeline.load(spec, (), root).run()
    assert result.status == "pushed", result.record["failure"]
    assert result.pushed["destination"].startswith("gs://bucket/team/cells/serving/")
    assert RemoteShelf(server.url("team/cells/serving")).versions() == [result.pushed["version"]]

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    pipeline = Pipeline.load(spec, (), root)
    assert {step.action for step in pipeline.plan().steps} == {"cached"}
    again = pipeline.run(Choices(from_node="Evaluator"))
    assert again.status == "blocked" or again.verdict["passed"]
    assert [run["run_id"] for run in pipeline.runs()] == [result.run_id, again.run_id]
    raw.write("2026/more.csv", (tmp_path / "cells.csv").read_bytes())
    assert {s.node.name: s.why for s in pipeline.plan().steps}["ExampleGen"] == "the raw data changed"
