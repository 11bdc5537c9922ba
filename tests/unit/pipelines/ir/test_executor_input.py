"""What KFP hands to a step and what the step hands back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.ir.executor_input import StepArtifact, StepCall


def executor_input(folder: Path) -> str:
    """Return what the open-source driver sends: no types, lists of one, an output of the launcher's own."""
    example = {"name": "7", "uri": "minio://mlpipeline/v2/examples", "type": {"instanceSchema": ""}}
    model = {"name": "model", "uri": str(folder / "model"), "type": {"schemaTitle": "system.Model"}}
    return json.dumps(
        {
            "inputs": {
                "parameterValues": {"config": '{"a": 1}', "epochs": 3.0},
                "artifacts": {"examples": {"artifacts": [example]}, "baseline": {"artifacts": []}},
            },
            "outputs": {
                "artifacts": {
                    "model": {"artifacts": [model]},
                    "executor-logs": {"artifacts": [{"name": "executor-logs", "uri": "minio://mlpipeline/logs"}]},
                },
                "outputFile": str(folder / "kfp" / "output_metadata.json"),
            },
        }
    )


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("minio://mlpipeline/v2/a", "/minio/mlpipeline/v2/a"),
        ("s3://bucket/a", "/s3/bucket/a"),
        ("gs://bucket/a", "/gcs/bucket/a"),
        ("/data/a", "/data/a"),
        ("file:///data/a", "/data/a"),
    ],
)
def test_an_artifact_lies_where_the_launcher_puts_it(uri: str, path: str):
    assert StepArtifact("a", uri).path == Path(path)


def test_a_call_is_read_as_the_driver_sends_it(tmp_path: Path):
    call = StepCall.parse(executor_input(tmp_path))
    assert call.config() == {"a": 1}
    assert call.parameters["epochs"] == 3
    assert call.inputs["examples"].path == Path("/minio/mlpipeline/v2/examples")
    assert "baseline" not in call.inputs


def test_the_answer_names_artifacts_by_their_uris_and_leaves_the_launchers_own_alone(tmp_path: Path):
    call = StepCall.parse(executor_input(tmp_path))
    call.outputs["model"].metadata["auc"] = 0.9
    call.returned["push"] = "true"
    call.write()
    answer = json.loads((tmp_path / "kfp" / "output_metadata.json").read_text())
    assert answer["parameterValues"] == {"push": "true"}
    assert answer["artifacts"].keys() == {"model"}
    (model,) = answer["artifacts"]["model"]["artifacts"]
    assert model == {"name": "model", "uri": str(tmp_path / "model"), "metadata": {"auc": 0.9}}


def test_what_the_launcher_could_not_read_is_never_written(tmp_path: Path):
    call = StepCall.parse(executor_input(tmp_path))
    call.outputs["model"].metadata["auc"] = float("nan")
    with pytest.raises(ValueError, match="not JSON compliant"):
        call.write()
    assert not (tmp_path / "kfp" / "output_metadata.json").exists()
