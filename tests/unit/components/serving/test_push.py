"""Publishing: all at once, only what may be published, and never the same model twice."""

from __future__ import annotations

import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import ComponentError
from components.registry import Registry
from components.serving.config import ServingConfig
from components.serving.push import Candidate, Pushed, push, write_summary
from components.serving.versions import current_version, versions

CONFIG = ServingConfig()


def candidate(root: Path, name: str = "a", *, blessed: bool = True) -> Candidate:
    model = root / "artifacts" / name
    saved_model = model / "Format-Serving"
    (saved_model / "variables").mkdir(parents=True, exist_ok=True)
    (saved_model / "saved_model.pb").write_text(f"graph {name}")
    (saved_model / "variables" / "variables.index").write_text(name)
    evaluation = root / "artifacts" / f"{name}-evaluation"
    evaluation.mkdir(exist_ok=True)
    (evaluation / "verdict.json").write_text(json.dumps({"reasons": ["auc 0.61 is below 0.80", "slice hour=3 fell"]}))
    return Candidate(saved_model, str(model), str(evaluation), str(root / "statistics"), f"key-{name}", "run1", blessed)


def served_text(root: Path) -> str:
    return (root / "serving" / str(current_version(root / "serving")) / "saved_model.pb").read_text()


def test_a_blessed_model_is_published_and_recorded(tmp_path: Path) -> None:
    before = int(time.time())
    pushed = push(candidate(tmp_path), CONFIG, tmp_path)
    assert pushed.pushed
    assert pushed.version is not None
    assert before <= pushed.version <= time.time() + 1
    folder = tmp_path / "serving" / str(pushed.version)
    assert pushed.destination == str(folder)
    assert (folder / "saved_model.pb").read_text() == "graph a"
    assert (folder / "variables" / "variables.index").read_text() == "a"
    (record,) = Registry(tmp_path / "registry").all()
    assert (record.version, record.trainer_key, record.run_id) == (pushed.version, "key-a", "run1")
    assert record.model_uri == str(tmp_path / "artifacts" / "a")
    assert record.blessed
    assert record.override is None
    assert not (folder / "assets.extra" / "override.json").exists()


def test_a_refused_model_is_not_published_and_the_old_one_still_serves(tmp_path: Path) -> None:
    first = push(candidate(tmp_path), CONFIG, tmp_path)
    second = push(candidate(tmp_path, "b", blessed=False), CONFIG, tmp_path)
    assert not second.pushed
    assert second.version is None
    assert second.reason == "the gate refused the model: auc 0.61 is below 0.80; slice hour=3 fell"
    assert versions(tmp_path / "serving") == [first.version]
    assert served_text(tmp_path) == "graph a"
    assert len(Registry(tmp_path / "registry").all()) == 1


def test_an_override_publishes_and_says_who_and_why_in_both_places(tmp_path: Path) -> None:
    override = {"reason": "holiday traffic, checked by hand", "by": "ada"}
    pushed = push(candidate(tmp_path, blessed=False), CONFIG, tmp_path, override)
    assert pushed.pushed
    assert "pushed by ada: holiday traffic" in pushed.reason
    (record,) = Registry(tmp_path / "registry").all()
    assert not record.blessed
    assert record.override == override
    assert Registry(tmp_path / "registry").latest_blessed() is None
    note = json.loads((Path(pushed.destination) / "assets.extra" / "override.json").read_text())
    assert (note["reason"], note["by"], note["at"]) == (override["reason"], "ada", record.at)


def test_an_override_of_a_model_that_passes_is_not_recorded(tmp_path: Path) -> None:
    pushed = push(candidate(tmp_path), CONFIG, tmp_path, {"reason": "to be safe", "by": "ada"})
    assert pushed.reason == "the gate passed; the override was not needed"
    (record,) = Registry(tmp_path / "registry").all()
    assert record.blessed
    assert record.override is None


@pytest.mark.parametrize("override", [{}, {"reason": "x"}, {"by": "ada"}, {"reason": "", "by": "ada"}])
def test_an_override_without_reason_or_author_is_refused(tmp_path: Path, override: dict[str, str]) -> None:
    with pytest.raises(ComponentError, match="needs a reason and an author"):
        push(candidate(tmp_path, blessed=False), CONFIG, tmp_path, override)
    assert versions(tmp_path / "serving") == []


def test_the_model_that_is_served_is_not_published_again(tmp_path: Path) -> None:
    first = push(candidate(tmp_path), CONFIG, tmp_path)
    again = push(replace(candidate(tmp_path), run_id="run2"), CONFIG, tmp_path)
    assert not again.pushed
    assert again.already_served
    assert again.version == first.version
    assert again.reason == f"version {first.version} is this very model"
    assert versions(tmp_path / "serving") == [first.version]


def test_an_older_model_can_be_published_again_as_the_newest(tmp_path: Path) -> None:
    push(candidate(tmp_path, "a"), CONFIG, tmp_path)
    push(candidate(tmp_path, "b"), CONFIG, tmp_path)
    back = push(candidate(tmp_path, "a"), CONFIG, tmp_path)
    assert back.pushed
    assert current_version(tmp_path / "serving") == back.version
    assert served_text(tmp_path) == "graph a"


def test_a_served_override_becomes_blessed_when_the_gate_passes_later(tmp_path: Path) -> None:
    push(candidate(tmp_path, blessed=False), CONFIG, tmp_path, {"reason": "x", "by": "ada"})
    push(candidate(tmp_path), CONFIG, tmp_path)
    (record,) = Registry(tmp_path / "registry").all()
    assert record.blessed
    assert record.override == {"reason": "x", "by": "ada"}


def test_a_push_that_died_before_it_was_recorded_is_recorded_by_the_next(tmp_path: Path) -> None:
    first = push(candidate(tmp_path), CONFIG, tmp_path)
    shutil.rmtree(tmp_path / "registry")
    push(candidate(tmp_path), CONFIG, tmp_path)
    (record,) = Registry(tmp_path / "registry").all()
    assert record.version == first.version


def test_versions_rise_within_a_second_and_above_any_ever_recorded(tmp_path: Path) -> None:
    numbers = [push(candidate(tmp_path, name), CONFIG, tmp_path).version for name in "abc"]
    assert numbers == sorted(set(numbers))
    future = int(time.time()) + 10_000
    shutil.copytree(tmp_path / "serving" / str(numbers[-1]), tmp_path / "serving" / str(future))
    raised = push(candidate(tmp_path, "d"), CONFIG, tmp_path).version
    assert raised == future + 1
    shutil.rmtree(tmp_path / "serving" / str(raised))  # a roll-back by hand
    assert push(candidate(tmp_path, "d"), CONFIG, tmp_path).version == raised + 1


def test_old_versions_are_deleted_but_never_the_newest(tmp_path: Path) -> None:
    config = ServingConfig(keep_versions=2)
    numbers = [push(candidate(tmp_path, name), config, tmp_path).version for name in "abcd"]
    assert versions(tmp_path / "serving") == numbers[-2:]
    assert sorted(entry.name for entry in (tmp_path / "serving").iterdir()) == [str(number) for number in numbers[-2:]]
    only_one = push(candidate(tmp_path, "e"), ServingConfig(keep_versions=1), tmp_path)
    assert versions(tmp_path / "serving") == [only_one.version]


def test_a_reader_never_sees_part_of_a_version(tmp_path: Path) -> None:
    large = candidate(tmp_path)
    for number in range(400):
        (large.saved_model / "variables" / f"part-{number}").write_bytes(b"x" * 10_000)
    whole = sum(1 for file in large.saved_model.rglob("*") if file.is_file()) + 1  # and what the push adds
    seen: list[int] = []
    looks = 0
    done = threading.Event()

    def look() -> None:
        nonlocal looks
        while not done.is_set():
            looks += 1
            for entry in (tmp_path / "serving").glob("[!.]*"):
                seen.append(sum(1 for file in entry.rglob("*") if file.is_file()))

    (tmp_path / "serving").mkdir()
    watcher = threading.Thread(target=look)
    watcher.start()
    push(large, CONFIG, tmp_path)
    time.sleep(0.05)
    done.set()
    watcher.join()
    assert looks > 10
    assert set(seen) == {whole}


@pytest.mark.parametrize("_again", range(25))
def test_pushes_at_the_same_moment_get_different_versions(tmp_path: Path, _again: int) -> None:
    candidates = [replace(candidate(tmp_path, name), run_id=f"run-{name}") for name in "abcdef"]
    results: list[Pushed] = []
    threads = [
        threading.Thread(target=lambda one=one: results.append(push(one, ServingConfig(keep_versions=9), tmp_path)))
        for one in candidates
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({pushed.version for pushed in results}) == len(candidates)
    assert versions(tmp_path / "serving") == sorted(pushed.version for pushed in results if pushed.version)


def test_a_push_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    empty = candidate(tmp_path)
    (empty.saved_model / "saved_model.pb").unlink()
    with pytest.raises(ComponentError, match="has no SavedModel"):
        push(empty, CONFIG, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ComponentError, match="could not be written") as caught:
        push(candidate(tmp_path), ServingConfig(push_to="file"), tmp_path)
    assert caught.value.spec_path == "serving.push_to"
    assert Registry(tmp_path / "registry").all() == []


def test_what_killed_pushes_left_behind_is_cleared(tmp_path: Path) -> None:
    import os

    old, young = tmp_path / "serving" / ".incoming-old", tmp_path / "serving" / ".incoming-young"
    old.mkdir(parents=True)
    young.mkdir()
    os.utime(old, (0, 0))
    push(candidate(tmp_path), CONFIG, tmp_path)
    assert not old.exists()
    assert young.exists()


def test_the_summary_says_what_happened(tmp_path: Path) -> None:
    pushed = push(candidate(tmp_path), CONFIG, tmp_path)
    summary = write_summary(tmp_path / "pushed_model", pushed)
    assert json.loads((tmp_path / "pushed_model" / "summary.json").read_text()) == summary
    assert (summary["pushed"], summary["version"]) == (True, pushed.version)
    assert (summary["destination"], summary["reason"]) == (pushed.destination, "the gate passed")
