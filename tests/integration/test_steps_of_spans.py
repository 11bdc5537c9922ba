"""Spans and the decision to retrain in the steps of a compiled pipeline, called as Kubeflow calls them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.errors import SpecError
from components.registry import BlessedModel, Registry
from pipelines.build import pipeline_nodes
from pipelines.ir.executor_input import TFX_PROPERTIES, StepArtifact, StepCall
from pipelines.ir.step import StepName, run_step
from pipelines.ir.tasks import EXTRA_OUTPUTS
from pipelines.node import Node
from pipelines.spec import LoadedSpec, load_spec
from tests.factories.spans import SPEC, deliver, rows


@pytest.fixture
def loaded(tmp_path) -> LoadedSpec:
    """Seven spans, of which a run reads four."""
    (tmp_path / "pipeline.yaml").write_text(SPEC)
    for span in range(1, 8):
        deliver(tmp_path, span, rows(span, count=60))
    return load_spec(tmp_path / "pipeline.yaml")


def resolve(loaded: LoadedSpec, span: str) -> dict[str, str]:
    """Run the first step; return its output parameters."""
    parameters = {
        "config": loaded.spec.model_dump_json(),
        "data_path": f"{loaded.base_dir}/{loaded.spec.data.path}",
        "root": str(loaded.base_dir / "root"),
        "span": span,
    }
    call = StepCall(parameters, {}, {}, loaded.base_dir / "output.json")
    run_step(StepName("Resolve"), call)
    return call.returned


def run(loaded: LoadedSpec, name: str, inputs: dict[str, StepArtifact], **parameters: str) -> StepCall:
    """Run the step of a component on its own node's config."""
    nodes = {node.name: node for node in pipeline_nodes(loaded)}
    node = nodes[name]
    outputs = {
        key: StepArtifact(key, str(loaded.base_dir / "artifacts" / name / key))
        for key in (*node.outputs, *EXTRA_OUTPUTS.get(name, ()))
    }
    given = {"config": json.dumps(node.config), "root": str(loaded.base_dir / "root"), **parameters}
    call = StepCall(given, inputs, outputs, loaded.base_dir / name / "output.json")
    run_step(StepName(name, node.section, _types(node, nodes)), call)
    return call


def _types(node: Node, nodes: dict[str, Node]) -> dict[str, str]:
    return {key: nodes[source.node].outputs[source.key] for key, source in node.inputs.items()}


def summary(artifact: StepArtifact) -> dict[str, Any]:
    return json.loads((Path(artifact.path) / "summary.json").read_text())


def test_the_newest_span_is_resolved_and_its_fingerprint_is_that_of_the_window(loaded):
    newest = resolve(loaded, "")
    assert newest["span"] == "7"
    assert resolve(loaded, "7")["fingerprint"] == newest["fingerprint"]
    deliver(loaded.base_dir, 3, rows(99, count=60), version=2)
    assert resolve(loaded, "")["fingerprint"] == newest["fingerprint"]
    deliver(loaded.base_dir, 4, rows(99, count=60), version=2)
    assert resolve(loaded, "")["fingerprint"] != newest["fingerprint"]


def test_a_chosen_span_that_is_not_there_is_refused_before_anything_runs(loaded):
    with pytest.raises(SpecError, match="span 9, which is not there; expected one of the 7 spans from 1 to 7"):
        resolve(loaded, "9")


def test_a_run_reads_what_was_resolved_although_a_newer_span_has_arrived_since(loaded):
    found = resolve(loaded, "")
    deliver(loaded.base_dir, 8, rows(8, count=60))
    told = {key: found[key] for key in ("data_path", "span", "fingerprint")}
    examples = run(loaded, "ExampleGen", {}, **told).outputs["examples"]
    assert [span["span"] for span in summary(examples)["spans"]] == [4, 5, 6, 7]
    properties = json.loads(examples.metadata[TFX_PROPERTIES])
    assert properties["properties"]["span"] == {"intValue": "7"}
    assert properties["customProperties"]["input_fingerprint"] == {"stringValue": found["fingerprint"]}


def test_the_decision_is_an_output_parameter_and_knows_the_data(loaded):
    found = resolve(loaded, "")
    told = {key: found[key] for key in ("data_path", "span", "fingerprint")}
    examples = run(loaded, "ExampleGen", {}, **told).outputs["examples"]
    cleaned = run(loaded, "Cleaner", {"examples": examples}).outputs["examples"]
    statistics = run(loaded, "StatisticsGen", {"examples": cleaned}).outputs["statistics"]
    nothing = StepArtifact("statistics", str(loaded.base_dir / "no-baseline"))
    inputs = {"statistics": statistics, "baseline_statistics": nothing}
    first = run(loaded, "Decider", inputs, run_id="1", **told)
    assert first.returned["go"] == "true"
    assert summary(first.outputs["decision"])["fingerprint"] == found["fingerprint"]

    record = {
        "run_id": "1", "status": "pushed", "started": "2026-01-01T03:00:00+00:00",
        "data": {"fingerprint": found["fingerprint"]}, "decision": summary(first.outputs["decision"]),
    }  # fmt: skip
    folder = loaded.base_dir / "root" / "runs" / "1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record))
    model = BlessedModel(3, "key", "model", "statistics", "evaluation", "1", "2026-01-01T03:09:00+00:00")
    Registry(loaded.base_dir / "root" / "registry").add(model)
    second = run(loaded, "Decider", inputs, run_id="2", **told)
    assert second.returned["go"] == "false"
    assert summary(second.outputs["decision"])["reasons"] == ["no new data since run 1"]
