"""The versions that a folder offers."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.serving.versions import current_version, version_folder, versions


def make(folder: Path, name: str, *, complete: bool = True) -> None:
    (folder / name).mkdir()
    if complete:
        (folder / name / "saved_model.pb").touch()


def test_versions_are_numbers_in_order_of_their_value(tmp_path: Path) -> None:
    for name in ("9", "10", "100"):
        make(tmp_path, name)
    assert versions(tmp_path) == [9, 10, 100]
    assert current_version(tmp_path) == 100
    assert version_folder(tmp_path, 10) == tmp_path / "10"


@pytest.mark.parametrize("name", [".incoming-7", "latest", "-1", "1.5", "007", "٣", "3 "])
def test_other_folders_are_passed_over(tmp_path: Path, name: str) -> None:
    make(tmp_path, name)
    assert versions(tmp_path) == []
    assert current_version(tmp_path) is None


def test_a_folder_without_a_saved_model_is_not_a_version_yet(tmp_path: Path) -> None:
    make(tmp_path, "1")
    make(tmp_path, "2", complete=False)
    (tmp_path / "3").touch()
    assert versions(tmp_path) == [1]


def test_a_folder_that_does_not_exist_has_no_versions(tmp_path: Path) -> None:
    assert versions(tmp_path / "nothing") == []
