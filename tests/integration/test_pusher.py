"""The Pusher as TFX runs it, with a real SavedModel that the server's loader then reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tfx.types import Channel, standard_artifacts

from components.registry import Registry
from components.serving.component import Pusher, PusherExecutor
from components.serving.saved_model import SavedModel
from components.serving.versions import current_version, versions
from tests.integration.served_models import write_model


class Run:
    """Artifacts of one run, as an earlier component would leave them."""

    def __init__(self, root: Path, name: str, bias: float, blessed: bool | None) -> None:
        self.root = root
        types = {
            "model": standard_artifacts.Model,
            "model_blessing": standard_artifacts.ModelBlessing,
            "evaluation": standard_artifacts.ModelEvaluation,
            "statistics": standard_artifacts.ExampleStatistics,
            "pushed_model": standard_artifacts.PushedModel,
        }
        self.artifacts: dict[str, Any] = {}
        for key, artifact_type in types.items():
            artifact = artifact_type()
            artifact.uri = str(root / "artifacts" / name / key)
            Path(artifact.uri).mkdir(parents=True)
            self.artifacts[key] = artifact
        if blessed is not None:
            self.artifacts["model_blessing"].set_int_custom_property("blessed", int(blessed))
        write_model(Path(self.artifacts["model"].uri) / "Format-Serving", bias)
        verdict = {"passed": blessed, "reasons": [] if blessed else ["auc 0.61 is below 0.80"]}
        (Path(self.artifacts["evaluation"].uri) / "verdict.json").write_text(json.dumps(verdict))

    def push(self, override: dict[str, str] | None = None) -> dict[str, Any]:
        config = {"serving": {"push_to": "served/here", "keep_versions": 2}, "override_gate": override}
        runtime = {"root": str(self.root), "run_id": "run7", "trainer_key": "abc"}
        inputs = {key: [artifact] for key, artifact in self.artifacts.items() if key != "pushed_model"}
        properties = {"config": json.dumps(config), "runtime": json.dumps(runtime)}
        PusherExecutor().Do(inputs, {"pushed_model": [self.artifacts["pushed_model"]]}, properties)
        return json.loads((Path(self.artifacts["pushed_model"].uri) / "summary.json").read_text())


def bias_served(root: Path) -> float:
    push_to = root / "served" / "here"
    model = SavedModel(push_to / str(current_version(push_to)))
    row = {"company": np.array([b"Flash"], object), "fare": np.zeros(1), "trip_miles": np.zeros(1)}
    return float(model.predict(model.signature("raw"), row)["probability"][0])


def test_the_component_is_wired_as_the_pipeline_expects() -> None:
    channels = {
        "model": Channel(standard_artifacts.Model),
        "model_blessing": Channel(standard_artifacts.ModelBlessing),
        "evaluation": Channel(standard_artifacts.ModelEvaluation),
        "statistics": Channel(standard_artifacts.ExampleStatistics),
    }
    component = Pusher({"serving": {}, "override_gate": None}, {"root": "there"}, **channels)
    assert component.outputs["pushed_model"].type is standard_artifacts.PushedModel
    assert set(component.inputs) == set(channels)
    assert json.loads(component.exec_properties["config"]) == {"serving": {}, "override_gate": None}
    assert component.executor_spec.executor_class is PusherExecutor


def test_a_blessed_model_is_served_and_recorded_a_refused_one_is_not(tmp_path: Path) -> None:
    first = Run(tmp_path, "first", 1.0, blessed=True)
    summary = first.push()
    assert (summary["pushed"], summary["reason"]) == (True, "the gate passed")
    assert bias_served(tmp_path) == 1.0
    pushed = first.artifacts["pushed_model"]
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == str(summary["version"])
    assert pushed.get_string_custom_property("pushed_destination") == summary["destination"]
    (record,) = Registry(tmp_path / "registry").all()
    assert (record.run_id, record.trainer_key, record.version) == ("run7", "abc", summary["version"])
    assert record.model_uri == first.artifacts["model"].uri
    assert record.statistics_uri == first.artifacts["statistics"].uri

    second = Run(tmp_path, "second", 2.0, blessed=False)
    summary = second.push()
    assert not summary["pushed"]
    assert summary["reason"] == "the gate refused the model: auc 0.61 is below 0.80"
    assert second.artifacts["pushed_model"].get_int_custom_property("pushed") == 0
    assert bias_served(tmp_path) == 1.0
    assert len(Registry(tmp_path / "registry").all()) == 1


def test_an_override_serves_the_refused_model_and_the_served_model_still_loads(tmp_path: Path) -> None:
    run = Run(tmp_path, "refused", 3.0, blessed=False)
    summary = run.push({"reason": "checked by hand", "by": "ada"})
    assert summary["pushed"]
    assert summary["override"] == {"reason": "checked by hand", "by": "ada"}
    assert bias_served(tmp_path) == 3.0
    (record,) = Registry(tmp_path / "registry").all()
    assert (record.blessed, record.override) == (False, summary["override"])


def test_without_the_artifacts_property_the_blessing_is_read_from_its_file(tmp_path: Path) -> None:
    run = Run(tmp_path, "file", 4.0, blessed=None)
    assert not run.push()["pushed"]
    (Path(run.artifacts["model_blessing"].uri) / "BLESSED").touch()
    assert run.push()["pushed"]


def test_a_property_that_says_no_is_stronger_than_a_file_left_behind(tmp_path: Path) -> None:
    run = Run(tmp_path, "file", 4.0, blessed=False)
    (Path(run.artifacts["model_blessing"].uri) / "BLESSED").touch()
    assert not run.push()["pushed"]


def test_keep_versions_comes_from_the_spec(tmp_path: Path) -> None:
    pushed = [Run(tmp_path, f"run{number}", float(number), blessed=True).push()["version"] for number in range(3)]
    assert versions(tmp_path / "served" / "here") == pushed[1:]


def test_a_broken_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep_versions"):
        PusherExecutor().Do(
            {key: [artifact] for key, artifact in Run(tmp_path, "x", 1.0, True).artifacts.items()},
            {"pushed_model": [standard_artifacts.PushedModel()]},
            {"config": json.dumps({"serving": {"keep_versions": 0}}), "runtime": json.dumps({"root": str(tmp_path)})},
        )
