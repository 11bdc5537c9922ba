"""Which versions are loaded, retired and reported, as the folder changes."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref
from pathlib import Path

import pytest

from components.serving.request_error import RequestError
from components.serving.server.model_versions import ModelVersions


class Model:
    def __init__(self, text: str) -> None:
        self.text = text


def load(folder: Path) -> Model:
    text = (folder / "saved_model.pb").read_text()
    if text == "broken":
        raise ValueError("cannot parse\nand much more")
    return Model(text)


def write(base_path: Path, version: int, text: str = "good") -> None:
    (base_path / str(version)).mkdir(exist_ok=True)
    (base_path / str(version) / "saved_model.pb").write_text(text)


def states(models: ModelVersions) -> dict[int, str]:
    return {status.version: status.state for status in models.statuses()}


@pytest.fixture
def models(tmp_path: Path) -> ModelVersions:
    return ModelVersions("taxi", tmp_path, load)


def test_the_newest_version_is_served_and_older_ones_are_not_loaded(models: ModelVersions, tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2)
    models.poll()
    assert models.get("taxi").version == 2
    assert states(models) == {2: "AVAILABLE"}
    with pytest.raises(RequestError, match="version 1 of model taxi is not loaded; loaded: 2") as caught:
        models.get("taxi", 1)
    assert caught.value.status == 404


def test_a_new_version_replaces_the_old_one(models: ModelVersions, tmp_path: Path) -> None:
    write(tmp_path, 1)
    models.poll()
    write(tmp_path, 2, "better")
    models.poll()
    assert models.get("taxi").model.text == "better"
    assert states(models) == {2: "AVAILABLE", 1: "END"}


def test_the_old_version_answers_until_the_new_one_is_loaded(tmp_path: Path) -> None:
    loading, go_on = threading.Event(), threading.Event()

    def load_slowly(folder: Path) -> Model:
        if folder.name == "2":
            loading.set()
            assert go_on.wait(30)
        return load(folder)

    models = ModelVersions("taxi", tmp_path, load_slowly)
    write(tmp_path, 1)
    models.poll()
    write(tmp_path, 2)
    thread = threading.Thread(target=models.poll)
    thread.start()
    assert loading.wait(30)
    assert models.get("taxi").version == 1
    assert states(models) == {2: "LOADING", 1: "AVAILABLE"}
    go_on.set()
    thread.join()
    assert models.get("taxi").version == 2


def test_a_retired_version_lives_as_long_as_a_request_holds_it(models: ModelVersions, tmp_path: Path) -> None:
    write(tmp_path, 1)
    models.poll()
    held = models.get("taxi")
    alive = weakref.ref(held.model)
    write(tmp_path, 2)
    models.poll()
    assert held.model.text == "good"
    del held
    gc.collect()
    assert alive() is None


def test_a_broken_version_is_reported_and_the_old_one_goes_on(models: ModelVersions, tmp_path: Path) -> None:
    write(tmp_path, 1)
    models.poll()
    write(tmp_path, 2, "broken")
    models.poll()
    assert models.get("taxi").version == 1
    broken, _ = models.statuses()
    assert (broken.version, broken.state, broken.error) == (2, "END", "ValueError: cannot parse")


def test_a_broken_version_is_tried_again_only_when_its_files_change(tmp_path: Path) -> None:
    tried: list[str] = []

    def counted(folder: Path) -> Model:
        tried.append(folder.name)
        return load(folder)

    models = ModelVersions("taxi", tmp_path, counted)
    write(tmp_path, 1, "broken")
    models.poll()
    models.poll()
    assert tried == ["1"]
    write(tmp_path, 1, "repaired")
    models.poll()
    assert models.get("taxi").model.text == "repaired"
    assert states(models) == {1: "AVAILABLE"}


def test_a_server_that_starts_with_a_broken_newest_version_serves_the_one_before(
    models: ModelVersions, tmp_path: Path
) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2, "broken")
    models.poll()
    assert models.get("taxi").version == 1


def test_deleting_the_newest_version_goes_back_to_the_one_before(models: ModelVersions, tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2)
    models.poll()
    shutil.rmtree(tmp_path / "2")
    models.poll()
    assert models.get("taxi").version == 1
    models.poll()
    assert states(models) == {1: "AVAILABLE"}


def test_what_is_served_goes_on_when_the_folder_is_emptied(models: ModelVersions, tmp_path: Path) -> None:
    write(tmp_path, 1)
    models.poll()
    shutil.rmtree(tmp_path / "1")
    models.poll()
    assert models.get("taxi").version == 1


def test_several_versions_can_be_held_for_pinned_requests(tmp_path: Path) -> None:
    models = ModelVersions("taxi", tmp_path, load, num_versions=2)
    for version in (1, 2, 3):
        write(tmp_path, version)
    models.poll()
    assert models.get("taxi").version == 3
    assert models.get("taxi", 2).version == 2
    with pytest.raises(RequestError, match="loaded: 2, 3"):
        models.get("taxi", 1)


def test_an_empty_folder_and_an_unknown_name_are_404(models: ModelVersions) -> None:
    models.poll()
    for name, message in (("taxi", "no version that can be served"), ("taxy", '"taxy" is unknown; .* has "taxi"')):
        with pytest.raises(RequestError, match=message) as caught:
            models.get(name)
        assert caught.value.status == 404
