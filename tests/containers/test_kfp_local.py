"""A second proof of the compiled pipeline: KFP's own local runner takes it from the file and runs it in containers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.ir.compile import Target, compile_pipeline
from pipelines.ir.tasks import run_parameters
from pipelines.spec import load_spec
from tests.factories.sluice_command import QUICK


def without_conditions(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents as kfp.local can run them: its conditions are never true, so what should run has none."""
    for document in documents:
        if "root" in document:
            tasks = document["root"]["dag"]["tasks"]
            del tasks["blocked"]
            del tasks["publish"]["triggerPolicy"]
    return documents


@pytest.mark.timeout(900)
def test_kfps_local_runner_takes_the_file_and_brings_a_model_to_the_root(
    step_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from kfp import components, local

    monkeypatch.chdir(tmp_path)
    loaded = load_spec("taxi", QUICK)
    root = tmp_path / "kfp" / "state"  # the local runner mounts its own folder only
    root.mkdir(parents=True)
    target = Target(step_image, run_parameters(loaded, loaded.spec.data.path, str(root)))
    documents = list(yaml.safe_load_all(compile_pipeline(loaded, target).to_yaml()))
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump_all(without_conditions(documents)))
    user = f"{os.getuid()}:{os.getgid()}"
    runner = local.DockerRunner(network_mode="none", user=user, read_only=True, tmpfs={"/tmp": ""})
    local.init(runner=runner, pipeline_root=str(tmp_path / "kfp"), raise_on_error=True)
    components.load_component_from_file(str(file))()
    (folder,) = (root / "runs").iterdir()
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "pushed"
    assert record["verdict"]["passed"]
    assert {node["name"]: node["status"] for node in record["nodes"]}["Trainer"] == "done"
    assert (root / "serving" / str(record["pushed"]["version"]) / "saved_model.pb").is_file()
    assert (
        "The gate lets the model pass" in (folder / "report.html").read_text()
        or record["run_id"] in (folder / "report.html").read_text()
    )
