"""Objects and folders on a real S3 server: whole or not there, also when the connection breaks half-way."""

from __future__ import annotations

import filecmp
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.engine.storage import RemoteFolder, StorageError, in_parallel, is_remote, join
from components.engine.whole_folder import MANIFEST_ENDING, download_folder, is_whole, upload_files, upload_folder
from components.errors import SpecError
from tests.factories.s3_server import BreakingProxy, Fault, S3Server

pytestmark = pytest.mark.usefixtures("s3_credentials")

MEGABYTE = 1 << 20


@pytest.fixture
def folder(s3_server: S3Server, tmp_path: Path) -> RemoteFolder:
    return RemoteFolder(s3_server.url(f"unit/{tmp_path.name}"))


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[BreakingProxy]:
    made = BreakingProxy(s3_server.port)
    yield made
    made.close()


def through(proxy: BreakingProxy, s3_server: S3Server, tmp_path: Path) -> RemoteFolder:
    """Return the same folder, on a connection that may break."""
    return RemoteFolder(s3_server.url(f"unit/{tmp_path.name}", proxy.port))


def model(folder: Path, megabytes: int = 1) -> Path:
    """Write a folder such as a component leaves: nested, one large file, one empty file, one empty folder."""
    (folder / "Format-Serving" / "variables").mkdir(parents=True)
    (folder / "Format-Serving" / "assets").mkdir()
    (folder / "Format-Serving" / "saved_model.pb").write_bytes(b"graph")
    (folder / "Format-Serving" / "variables" / "variables.data").write_bytes(os.urandom(megabytes * MEGABYTE))
    (folder / "BLESSED").touch()
    (folder / "name with spaces é.txt").write_text("x")
    return folder


def same(first: Path, second: Path) -> bool:
    found = filecmp.dircmp(first, second)
    return not (found.left_only or found.right_only or found.diff_files) and all(
        same(first / name, second / name) for name in found.common_dirs
    )


def test_objects_are_written_read_listed_and_deleted(folder):
    assert folder.files() == []
    assert folder.read("runs/7/run.json") is None
    assert folder.find("runs/7/run.json") is None
    folder.write("runs/7/run.json", b"one")
    folder.write("runs/7/run.json", b"two!")
    folder.write("state/x.json", b"")
    assert folder.read("runs/7/run.json") == b"two!"
    assert folder.read("state/x.json") == b""
    assert [(file.name, file.bytes) for file in folder.files()] == [("runs/7/run.json", 4), ("state/x.json", 0)]
    assert [file.name for file in folder.files("runs")] == ["runs/7/run.json"]
    assert folder.folders() == ["runs", "state"]
    assert folder.child("runs").read("7/run.json") == b"two!"
    folder.delete("runs/7/run.json", "never/was")
    assert folder.find("runs/7/run.json") is None


def test_a_large_object_comes_back_piece_by_piece(folder):
    content = os.urandom(20 * MEGABYTE)
    pieces = [content[start : start + 3 * MEGABYTE] for start in range(0, len(content), 3 * MEGABYTE)]
    assert folder.write_chunks("big", iter(pieces)) == len(content)
    assert b"".join(folder.chunks("big")) == content


def test_a_folder_comes_back_as_it_was_with_what_is_empty(folder, tmp_path):
    source = model(tmp_path / "model")
    upload_folder(source, folder, "artifacts/Trainer/model/8")
    download_folder(folder, "artifacts/Trainer/model/8", tmp_path / "back" / "8")
    assert same(source, tmp_path / "back" / "8")
    assert (tmp_path / "back" / "8" / "Format-Serving" / "assets").is_dir()
    assert [entry.name for entry in (tmp_path / "back").iterdir()] == ["8"]


def test_a_folder_without_its_manifest_is_not_there(folder, tmp_path):
    upload_folder(model(tmp_path / "model"), folder, "a/8")
    assert is_whole(folder, "a/8")
    assert not is_whole(folder, "a")
    folder.delete("a/8" + MANIFEST_ENDING)
    assert not is_whole(folder, "a/8")
    with pytest.raises(StorageError, match="never uploaded to its end"):
        download_folder(folder, "a/8", tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("change", "told"), [(b"grapX", "another digest"), (b"graph!", "6 bytes came, 5 were written")]
)
def test_a_file_that_is_not_what_was_written_is_refused(folder, tmp_path, change, told):
    upload_folder(model(tmp_path / "model"), folder, "a/8")
    folder.write("a/8/Format-Serving/saved_model.pb", change)
    with pytest.raises(StorageError, match=told):
        download_folder(folder, "a/8", tmp_path / "back")
    folder.delete("a/8/Format-Serving/saved_model.pb")
    with pytest.raises(StorageError, match="saved_model.pb is gone"):
        download_folder(folder, "a/8", tmp_path / "back")
    assert not list(tmp_path.glob("*back*"))


def test_files_that_an_earlier_try_left_are_passed_over(folder, tmp_path):
    folder.write("a/8/left.txt", b"over")
    source = model(tmp_path / "model")
    upload_folder(source, folder, "a/8")
    download_folder(folder, "a/8", tmp_path / "back")
    assert same(source, tmp_path / "back")


def test_the_file_that_makes_a_folder_usable_is_written_last(s3_server, folder, proxy, tmp_path):
    proxy.add(Fault(r"(PUT|POST) \S+variables.data"))
    version = model(tmp_path / "model") / "Format-Serving"
    with pytest.raises(StorageError):
        upload_files(version, through(proxy, s3_server, tmp_path), "serving/8", last=("saved_model.pb",))
    assert folder.find("serving/8/saved_model.pb") is None
    assert set(upload_files(version, folder, "serving/8", last=("saved_model.pb",))) == {
        "saved_model.pb",
        "variables/variables.data",
    }
    assert folder.read("serving/8/saved_model.pb") == b"graph"


def test_a_connection_lost_half_way_up_leaves_the_old_object_and_no_manifest(s3_server, folder, proxy, tmp_path):
    folder.write("a/8/Format-Serving/variables/variables.data", b"old")
    fault = proxy.add(Fault(r"PUT \S+variables.data", after_bytes=2 * MEGABYTE))
    with pytest.raises(
        StorageError, match=r"Could not write s3://bucket/unit/.*variables.data.*what was finished is kept"
    ):
        upload_folder(model(tmp_path / "model", 5), through(proxy, s3_server, tmp_path), "a/8")
    assert fault.hits >= 2, "the client tried again"
    assert folder.read("a/8/Format-Serving/variables/variables.data") == b"old"
    assert not is_whole(folder, "a/8")


def test_a_connection_lost_once_is_taken_up_again(s3_server, folder, proxy, tmp_path):
    up = proxy.add(Fault(r"PUT \S+variables.data", after_bytes=MEGABYTE, times=1))
    down = proxy.add(Fault(r"GET \S+variables.data", after_bytes=MEGABYTE, up=False, times=1))
    source = model(tmp_path / "model", 5)
    upload_folder(source, through(proxy, s3_server, tmp_path), "a/8")
    download_folder(through(proxy, s3_server, tmp_path), "a/8", tmp_path / "back")
    assert (up.hits, down.hits) == (1, 1)
    assert same(source, tmp_path / "back")


def test_a_connection_lost_half_way_down_leaves_nothing(s3_server, folder, proxy, tmp_path):
    upload_folder(model(tmp_path / "model", 5), folder, "a/8")
    fault = proxy.add(Fault(r"GET \S+variables.data", after_bytes=2 * MEGABYTE, up=False))
    with pytest.raises(StorageError, match="Could not read s3://bucket/unit/"):
        download_folder(through(proxy, s3_server, tmp_path), "a/8", tmp_path / "back" / "8")
    assert fault.hits
    assert list((tmp_path / "back").iterdir()) == []


def test_a_manifest_is_taken_away_before_a_folder_is_written_anew(s3_server, folder, proxy, tmp_path):
    upload_folder(model(tmp_path / "first"), folder, "a/8")
    proxy.add(Fault(r"PUT \S+variables.data"))
    with pytest.raises(StorageError):
        upload_folder(model(tmp_path / "second"), through(proxy, s3_server, tmp_path), "a/8")
    assert not is_whole(folder, "a/8")


def test_a_bucket_that_is_not_there_is_told(s3_server):
    missing = RemoteFolder(s3_server.url("x").replace("bucket", "no-such-bucket", 1))
    with pytest.raises(StorageError, match="the bucket does not exist.*Make the bucket no-such-bucket first"):
        missing.check()
    with pytest.raises(StorageError, match="Make the bucket no-such-bucket first"):
        missing.write("a", b"x")


def test_a_server_that_does_not_answer_is_named():
    with pytest.raises(StorageError, match="Check that 127.0.0.1:1 answers"):
        RemoteFolder("s3://bucket/x?endpoint_override=127.0.0.1:1&scheme=http").files()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://KEY:S3CR3T@bucket/taxi", "an address without secrets.*AWS_ACCESS_KEY_ID"),
        ("s3://bucket/taxi?endpoint=x", "option 'endpoint'; expected one of region, scheme, endpoint_override"),
        ("s3://", "expected a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"),
        ("minio://mlpipeline/taxi", "expected a folder, s3://BUCKET/PREFIX"),
        ("s3://bucket/../other", "without `..`"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(url, told):
    with pytest.raises(SpecError, match=told) as refused:
        RemoteFolder(url)
    assert "S3CR3T" not in str(refused.value)


def test_places_are_joined_before_the_options_of_a_url():
    assert join("/data/taxi/", "runs", "7") == "/data/taxi/runs/7"
    assert join("s3://b/taxi?region=eu", "/runs/", "7") == "s3://b/taxi/runs/7?region=eu"
    assert is_remote(Path("/data")) is False


def test_the_first_error_of_many_is_the_one_that_is_told():
    done = []

    def work(item: int) -> int:
        if item == 3:
            raise ValueError(item)
        done.append(item)
        return item

    assert in_parallel(work, [1, 2]) == [1, 2]
    with pytest.raises(ValueError, match="3"):
        in_parallel(work, [3, *range(4, 200)])
    assert len(done) < 150, "what had not begun was not begun"


def test_the_manifest_says_what_is_in_the_folder(folder, tmp_path):
    upload_folder(model(tmp_path / "model"), folder, "a/8")
    manifest = json.loads(folder.read("a/8" + MANIFEST_ENDING))
    assert set(manifest["files"]) == {
        "BLESSED",
        "Format-Serving/saved_model.pb",
        "Format-Serving/variables/variables.data",
        "name with spaces é.txt",
    }
    assert manifest["files"]["Format-Serving/variables/variables.data"]["bytes"] == MEGABYTE
    assert manifest["folders"] == ["Format-Serving/assets"]
