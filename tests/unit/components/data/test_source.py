"""Paths become files, or a message that says what to do."""

from __future__ import annotations

import hashlib
import json
import os
import sys

import pytest

from components.data.source import SourceFile, data_format, fingerprint, format_of, list_files, resolve, with_digests
from components.errors import SpecError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def names(files: list[SourceFile]) -> list[str]:
    return [file.path.rsplit("/", 1)[-1] for file in files]


def test_paths_start_at_the_folder_of_the_spec(tmp_path):
    assert resolve("rows/*.csv", tmp_path) == f"{tmp_path}/rows/*.csv"
    assert resolve("../rows.csv", tmp_path / "specs") == f"{tmp_path}/rows.csv"
    assert resolve("/rows.csv", tmp_path) == "/rows.csv"
    assert resolve("s3://bucket/rows.csv", tmp_path) == "s3://bucket/rows.csv"


def test_a_file_in_a_package_is_found_without_importing_it(tmp_path):
    found = resolve("package:lib2to3/Grammar.txt", tmp_path)
    assert os.path.isfile(found)
    assert "lib2to3" not in sys.modules


@pytest.mark.parametrize("path", ["package:no_such_package/rows.csv", "package:json", "package:/x"])
def test_a_package_that_is_not_there_is_refused(path, tmp_path):
    with pytest.raises(SpecError, match="data.path.*an installed Python package") as caught:
        resolve(path, tmp_path)
    assert caught.value.problems[0].received == repr(path)


def test_a_folder_gives_its_data_and_nothing_else(tmp_path):
    touch(tmp_path, "b.csv", "a.csv", ".hidden.csv", "_SUCCESS", "README.md", "deeper/c.csv")
    assert names(list_files(str(tmp_path))) == ["a.csv", "b.csv"]


def test_a_glob_may_go_down_folders(tmp_path):
    touch(tmp_path, "b.csv", "deeper/c.csv")
    assert names(list_files(f"{tmp_path}/**/*.csv")) == ["b.csv", "c.csv"]


def test_a_url_lists_as_a_path_does(tmp_path):
    touch(tmp_path, "b.csv", "a.csv", "_SUCCESS", "deeper/c.csv")
    for path in (f"{tmp_path}", f"{tmp_path}/*.csv", f"{tmp_path}/a.csv"):
        far, near = list_files(f"file://{path}"), list_files(path)
        assert [(file.path.removeprefix("file://"), file.bytes) for file in far] == [(f.path, f.bytes) for f in near]
        assert all(file.stamp for file in far)


@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("a.csv", "csv"), ("a.CSV.gz", "csv"), ("a.parquet", "parquet"), ("a.tfrecord", "tfrecord"),
        ("data_tfrecord-00000-of-00001.gz", "tfrecord"), ("a.txt", None), ("csv", None),
    ],
)  # fmt: skip
def test_a_name_tells_the_format(path, format):
    assert format_of(path) == format


def test_a_declared_format_is_taken_whatever_the_name(tmp_path):
    touch(tmp_path, "rows.txt")
    files = list_files(str(tmp_path / "rows.txt"), "csv")
    assert data_format(files, "csv") == "csv"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("empty", "an empty folder"),
        ("*.csv", "which matches no file"),
        ("rows/taxis.csv", r"Did you mean 'taxi\.csv'\?"),
        ("nowhere/taxi.csv", "There is no folder"),
        ("mixed", r"files of several formats \(.*a\.csv, .*b\.parquet\).*Narrow data\.path"),
        ("notes", r"which holds notes\.txt.*data\.format: csv"),
    ],
)
def test_data_that_are_not_there_are_explained(tmp_path, path, message):
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "rows/taxi.csv", "mixed/a.csv", "mixed/b.parquet", "notes/notes.txt")
    with pytest.raises(SpecError, match=message) as caught:
        list_files(str(tmp_path / path))
    assert caught.value.problems[0].where == "data.path"


def test_a_url_that_is_not_there_is_explained(tmp_path):
    with pytest.raises(SpecError, match="which is not there"):
        list_files(f"file://{tmp_path}/a.csv")


def test_a_fingerprint_follows_the_content(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    first = fingerprint(list_files(str(path)))
    os.utime(path, (1, 1))
    assert fingerprint(list_files(str(path))) == first
    path.write_text("a\n2\n")
    assert fingerprint(list_files(str(path))) != first


def test_a_fingerprint_does_not_depend_on_the_folder(tmp_path):
    touch(tmp_path / "x", "a.csv", "b.csv")
    touch(tmp_path / "y", "a.csv", "b.csv")
    assert fingerprint(list_files(str(tmp_path / "x"))) == fingerprint(list_files(str(tmp_path / "y")))


def test_a_known_file_is_not_read_again(tmp_path):
    touch(tmp_path, "a.csv")
    memo = tmp_path / "state" / "digests.json"
    files = list_files(str(tmp_path / "a.csv"))
    (first,) = with_digests(files, memo)
    assert first.sha256 == hashlib.sha256(b"a.csv").hexdigest()
    assert fingerprint([first]) == fingerprint(files)
    (key,) = json.loads(memo.read_text())
    memo.write_text(json.dumps({key: "remembered"}))
    assert with_digests(files, memo)[0].sha256 == "remembered"
    memo.write_text("damaged")
    assert with_digests(files, memo) == [first]
    (tmp_path / "a.csv").write_text("b.csv")
    assert with_digests(list_files(str(tmp_path / "a.csv")), memo) != [first]


def test_a_remote_file_counts_by_size_and_time(tmp_path):
    touch(tmp_path, "a.csv")
    url = f"file://{tmp_path}/a.csv"
    first = fingerprint(list_files(url))
    assert fingerprint(list_files(url)) == first
    os.utime(tmp_path / "a.csv", (1, 1))
    assert fingerprint(list_files(url)) != first
