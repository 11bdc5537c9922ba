"""Publishing to a bucket, as the last step on a cluster does: its artifacts are folders that no later pod has."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from components.engine.storage import RemoteFolder, StorageError, join
from components.engine.whole_folder import download_folder
from components.errors import ComponentError
from components.evaluation.latest_blessed import copy_baseline
from components.registry import BlessedModel, Registry, below_root, located
from components.serving.config import ServingConfig
from components.serving.push import Candidate, push
from components.serving.shelf import RemoteShelf, local_versions, place_of
from tests.factories.s3_server import BreakingProxy, Fault, S3Server

pytestmark = pytest.mark.usefixtures("s3_credentials")

CONFIG = ServingConfig()


@pytest.fixture
def root(s3_server: S3Server, tmp_path: Path) -> str:
    return s3_server.url(f"push/{tmp_path.name}")


def candidate(pod: Path, name: str = "a", *, blessed: bool = True) -> Candidate:
    """Return a candidate whose artifacts lie in a pod's own folder."""
    run = pod / "minio" / "mlpipeline" / name
    saved_model = run / "model" / "Format-Serving"
    (saved_model / "variables").mkdir(parents=True, exist_ok=True)
    (saved_model / "saved_model.pb").write_text(f"graph {name}")
    (saved_model / "variables" / "variables.index").write_text(name)
    (run / "model" / "sample.json").write_text(f"sample {name}")
    for part, file in (("evaluation", "verdict.json"), ("statistics", "FeatureStats.pb")):
        (run / part).mkdir(exist_ok=True)
        (run / part / file).write_text(json.dumps({"reasons": [name]}))
    model, evaluation, statistics = (str(run / part) for part in ("model", "evaluation", "statistics"))
    return Candidate(saved_model, model, evaluation, statistics, f"key-{name}", f"run-{name}", blessed)


def registry(root: str) -> Registry:
    return Registry(join(root, "registry"))


def test_a_later_pod_finds_model_statistics_and_evaluation_below_the_root(root, tmp_path):
    pushed = push(candidate(tmp_path), CONFIG, root, workspace=tmp_path / "work")
    assert pushed.pushed
    shutil.rmtree(tmp_path / "minio")  # the pod is gone
    bucket = RemoteFolder(root)
    assert pushed.destination == f"{bucket.url}/serving/{pushed.version}"
    assert bucket.read(f"serving/{pushed.version}/saved_model.pb") == b"graph a"
    assert json.loads(bucket.read(f"serving/{pushed.version}/assets.extra/sluice.json"))["run_id"] == "run-a"
    found = registry(root).latest_blessed()
    assert found.version == pushed.version
    assert found.source_uri == str(tmp_path / "minio" / "mlpipeline" / "a" / "model")
    runtime = {"root": str(tmp_path / "later"), "remote": root}
    for uri, file, content in (
        (found.model_uri, "sample.json", "sample a"),
        (found.model_uri, "Format-Serving/variables/variables.index", "a"),
        (found.statistics_uri, "FeatureStats.pb", '{"reasons": ["a"]}'),
        (found.evaluation_uri, "verdict.json", '{"reasons": ["a"]}'),
    ):
        target = tmp_path / "later" / "outputs" / Path(uri).name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_baseline(uri, str(target), runtime)
        assert (target / file).read_text() == content
    assert {entry.name for entry in (tmp_path / "later" / "outputs").iterdir()} == {"model", "statistics", "evaluation"}


def test_a_root_on_a_volume_that_pods_share_keeps_copies_too(tmp_path):
    volume = tmp_path / "volume"
    pushed = push(candidate(tmp_path), CONFIG, volume)
    shutil.rmtree(tmp_path / "minio")
    found = Registry(volume / "registry").latest_blessed()
    assert found.version == pushed.version
    assert (Path(found.model_uri) / "sample.json").read_text() == "sample a"
    assert Path(found.model_uri).is_relative_to(volume)
    copy_baseline(found.statistics_uri, str(tmp_path / "copy"), {"root": str(volume)})
    assert (tmp_path / "copy" / "FeatureStats.pb").is_file()


def test_what_lies_in_the_mirrored_workspace_is_not_copied(root, tmp_path):
    made = candidate(tmp_path / "work" / "artifacts")
    push(made, CONFIG, root, workspace=tmp_path / "work")
    found = registry(root).latest_blessed()
    assert found.model_uri == "root://artifacts/minio/mlpipeline/a/model"
    assert found.source_uri is None
    assert RemoteFolder(root).files("blessed") == []
    copy_baseline(found.model_uri, str(tmp_path / "copy"), {"root": str(tmp_path / "work"), "remote": root})
    source = Path(made.model_uri, "sample.json")
    assert (tmp_path / "copy" / "sample.json").stat().st_ino == source.stat().st_ino, "linked, not copied"


def test_the_model_that_is_served_is_not_published_again_by_a_step_that_is_tried_again(root, tmp_path):
    first = push(candidate(tmp_path), CONFIG, root)
    again = push(candidate(tmp_path), CONFIG, root)
    assert (again.pushed, again.already_served, again.version) == (False, True, first.version)
    assert RemoteShelf(join(root, "serving")).versions() == [first.version]


def test_a_push_that_died_before_it_was_recorded_is_recorded_by_the_next(root, tmp_path):
    first = push(candidate(tmp_path), CONFIG, root)
    RemoteFolder(root).delete(f"registry/{first.version}.json")
    push(candidate(tmp_path), CONFIG, root)
    (record,) = registry(root).all()
    assert record.version == first.version
    assert record.model_uri.startswith("root://blessed/")


def test_a_served_override_becomes_blessed_and_keeps_an_evaluation_that_can_be_found(root, tmp_path):
    push(candidate(tmp_path, blessed=False), CONFIG, root, {"reason": "x", "by": "ada"})
    assert registry(root).latest_blessed() is None
    push(candidate(tmp_path), CONFIG, root)
    (record,) = registry(root).all()
    assert record.blessed
    assert record.override == {"reason": "x", "by": "ada"}
    assert record.evaluation_uri.startswith("root://blessed/")


@pytest.mark.parametrize("cut", ["saved_model.pb", "variables/variables.index"])
def test_a_push_cut_off_leaves_no_version_and_no_record(s3_server, root, tmp_path, cut):
    proxy = BreakingProxy(s3_server.port)
    try:
        proxy.add(Fault(rf"(PUT|POST) \S+/serving/\d+/{cut}"))
        with pytest.raises(StorageError, match=f"Could not write s3://bucket/push/.*{cut}"):
            push(candidate(tmp_path), CONFIG, s3_server.url(f"push/{tmp_path.name}", proxy.port))
    finally:
        proxy.close()
    assert RemoteFolder(root).files("serving"), "half of a version is there"
    assert RemoteShelf(join(root, "serving")).versions() == []
    assert registry(root).all() == []
    assert push(candidate(tmp_path), CONFIG, root).pushed


def test_old_versions_and_their_copies_are_deleted_but_never_the_latest_blessed(root, tmp_path):
    config = ServingConfig(keep_versions=2)
    override = {"reason": "x", "by": "ada"}
    good = push(candidate(tmp_path, "good"), config, root)
    numbers = [
        push(candidate(tmp_path, name, blessed=False), config, root, override).version for name in ("b", "c", "d")
    ]
    assert RemoteShelf(join(root, "serving")).versions() == numbers[-2:]
    kept = {name.rpartition("-")[0] for name in RemoteFolder(root).folders("blessed")}
    assert kept == {"run-good", "run-c", "run-d"}
    latest = registry(root).latest_blessed()
    assert latest.version == good.version
    download_folder(RemoteFolder(root), latest.model_uri.removeprefix("root://"), tmp_path / "back")
    assert [model.version for model in registry(root).all()] == [good.version, *numbers]


def test_half_versions_of_long_ago_are_deleted_younger_ones_are_not(root, tmp_path):
    bucket = RemoteFolder(root)
    bucket.write("serving/1000000000/variables/variables.index", b"x")
    bucket.write("serving/9000000000/variables/variables.index", b"x")
    bucket.write("serving/notes.txt", b"x")
    push(candidate(tmp_path), CONFIG, root)
    left = {file.name for file in bucket.files("serving")}
    assert "serving/1000000000/variables/variables.index" not in left
    assert {"serving/9000000000/variables/variables.index", "serving/notes.txt"} <= left


def test_versions_of_a_remote_root_are_copied_here_to_be_served(root, tmp_path):
    first = push(candidate(tmp_path, "a"), CONFIG, root)
    second = push(candidate(tmp_path, "b"), CONFIG, root)
    folder = local_versions(place_of("serving", root), tmp_path / "served")
    assert [entry.name for entry in folder.iterdir()] == [str(second.version)]
    assert (folder / str(second.version) / "saved_model.pb").read_text() == "graph b"
    folder = local_versions(place_of("serving", root), tmp_path / "served", first.version)
    assert [entry.name for entry in folder.iterdir()] == [str(first.version)]
    assert list(local_versions(place_of("serving", root), tmp_path / "none", 7).glob("*")) == []


def test_a_baseline_that_is_gone_is_told(root, tmp_path):
    runtime = {"root": str(tmp_path), "remote": root}
    with pytest.raises(ComponentError, match="is not there"):
        copy_baseline("root://blessed/x/model", str(tmp_path / "copy"), runtime)
    with pytest.raises(ComponentError, match="is gone"):
        copy_baseline(str(tmp_path / "nowhere"), str(tmp_path / "copy"), {"root": str(tmp_path)})


def test_uris_below_a_root_hold_wherever_the_root_is_seen_from():
    url = "s3://bucket/taxi?region=eu"
    assert below_root("/cache/taxi-1/artifacts/x/7", "/cache/taxi-1") == "root://artifacts/x/7"
    assert below_root("/cache/taxi-11/artifacts/x/7", "/cache/taxi-1") == "/cache/taxi-11/artifacts/x/7"
    assert below_root("s3://bucket/taxi/artifacts/x/7", url) == "root://artifacts/x/7"
    assert located("root://artifacts/x/7", url) == "s3://bucket/taxi/artifacts/x/7?region=eu"
    assert located("/elsewhere/7", url) == "/elsewhere/7"


def test_a_registry_in_a_bucket_is_a_registry(root):
    there = registry(root)
    assert there.latest_blessed() is None
    model = BlessedModel(7, "key", "root://m", "root://s", "root://e", "run", "2026-01-01", source_uri="/minio/m")
    there.add(model)
    there.add(replace(model, version=8, blessed=False))
    there.add(replace(model, version=11, model_uri="root://other", source_uri=None))
    RemoteFolder(join(root, "registry")).write("notes.json", b"{}")
    assert [each.version for each in there.all()] == [7, 8, 11]
    assert there.latest_blessed().version == 11
    assert there.latest_blessed(excluding_model_uri="root://other").version == 7
    assert there.latest_blessed(excluding_model_uri="/minio/m").version == 11
    assert there.get(7) == model
    assert there.get(9) is None
