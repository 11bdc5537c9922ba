"""LatestBlessed hands out the newest blessed model, as TFX runs it, without spending space or touching the original."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from tfx.types import artifact_utils, standard_artifacts

from components.errors import ComponentError
from components.evaluation.component import Evaluator, LatestBlessed
from components.evaluation.latest_blessed import Executor, copy_folder
from components.registry import BlessedModel, Registry


def blessed(folder: Path, version: int, **more) -> BlessedModel:
    model, statistics = folder / f"model-{version}", folder / f"statistics-{version}"
    (model / "Format-Serving" / "variables").mkdir(parents=True)
    (model / "Format-Serving" / "variables" / "variables.index").write_bytes(bytes([version]))
    (model / "summary.json").write_text('{"seconds": 3}')
    (statistics / "Split-train").mkdir(parents=True)
    (statistics / "Split-train" / "FeatureStats.pb").write_bytes(bytes([version, 1]))
    uris = {"model_uri": str(model), "statistics_uri": str(statistics), "evaluation_uri": "e"}
    return BlessedModel(version=version, trainer_key=f"key-{version}", run_id="r", at="2026-01-01", **uris, **more)


@pytest.fixture
def hand_out(tmp_path):
    def run(**runtime) -> tuple[Path, Path]:
        outputs = {}
        for name, kind in (("model", standard_artifacts.Model), ("statistics", standard_artifacts.ExampleStatistics)):
            made = kind()
            made.uri = str(tmp_path / "out" / name)
            outputs[name] = [made]
        Executor().Do({}, outputs, {"config": "{}", "runtime": json.dumps({"root": str(tmp_path), **runtime})})
        assert artifact_utils.decode_split_names(outputs["statistics"][0].split_names) == ["train", "eval"]
        return Path(outputs["model"][0].uri), Path(outputs["statistics"][0].uri)

    return run


def test_without_a_baseline_the_folders_are_empty_but_for_saying_so(hand_out):
    model, statistics = hand_out()
    assert json.loads((model / "summary.json").read_text()) == {"baseline": None}
    assert [file.name for file in model.iterdir()] == ["summary.json"]
    assert list(statistics.iterdir()) == []


def test_the_newest_blessed_model_of_the_registry_is_handed_out(hand_out, tmp_path):
    registry = Registry(tmp_path / "registry")
    for version, passed in ((9, True), (10, True), (11, False)):
        registry.add(blessed(tmp_path, version, blessed=passed))
    model, statistics = hand_out()
    assert (model / "Format-Serving/variables/variables.index").read_bytes() == bytes([10])
    assert (statistics / "Split-train/FeatureStats.pb").read_bytes() == bytes([10, 1])
    assert json.loads((model / "summary.json").read_text())["baseline"]["version"] == 10


def test_the_runners_choice_is_obeyed(hand_out, tmp_path):
    Registry(tmp_path / "registry").add(blessed(tmp_path, 2))
    older = blessed(tmp_path, 1)
    model, _ = hand_out(baseline=asdict(older))
    assert json.loads((model / "summary.json").read_text())["baseline"]["version"] == 1


def test_the_runner_can_choose_no_baseline(hand_out, tmp_path):
    Registry(tmp_path / "registry").add(blessed(tmp_path, 2))
    model, _ = hand_out(baseline=None)
    assert json.loads((model / "summary.json").read_text()) == {"baseline": None}


def test_the_copy_takes_no_space_and_the_original_stays_as_it_was(hand_out, tmp_path):
    original = blessed(tmp_path, 1)
    model, _ = hand_out(baseline=asdict(original))
    name = "Format-Serving/variables/variables.index"
    assert (model / name).samefile(Path(original.model_uri, name))
    assert json.loads(Path(original.model_uri, "summary.json").read_text()) == {"seconds": 3}


def test_where_links_cannot_be_made_bytes_are_copied(tmp_path, monkeypatch):
    def refused(source, target):
        raise OSError("cross-device link")

    monkeypatch.setattr("os.link", refused)
    original = blessed(tmp_path, 1)
    copy_folder(original.statistics_uri, str(tmp_path / "copy"))
    copy = tmp_path / "copy" / "Split-train" / "FeatureStats.pb"
    assert copy.read_bytes() == bytes([1, 1])
    assert not copy.samefile(Path(original.statistics_uri, "Split-train", "FeatureStats.pb"))


def test_a_baseline_whose_files_are_gone_stops_the_run_with_what_to_do(hand_out, tmp_path):
    gone = BlessedModel(1, "k", str(tmp_path / "gone"), str(tmp_path / "gone"), "e", "r", "2026-01-01")
    with pytest.raises(ComponentError, match="gone is gone") as caught:
        hand_out(baseline=asdict(gone))
    assert "registry" in caught.value.remedy


def test_the_components_wire_up_as_the_pipeline_names_them():
    from tfx.types import channel

    latest = LatestBlessed({}, {"root": "r"})
    inputs = {
        name: channel.Channel(type=kind)
        for name, kind in (
            ("examples", standard_artifacts.Examples),
            ("model", standard_artifacts.Model),
            ("schema", standard_artifacts.Schema),
        )
    }
    judge = Evaluator({"task": "regression"}, {"root": "r"}, baseline_model=latest.outputs["model"], **inputs)
    assert set(latest.outputs) == {"model", "statistics"}
    assert set(judge.outputs) == {"evaluation", "blessing"}
    assert set(judge.inputs) == {"examples", "model", "baseline_model", "schema"}
    assert json.loads(judge.exec_properties["config"]) == {"task": "regression"}
