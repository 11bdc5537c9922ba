"""The last step: write the run's record and page where all runs of the pipeline leave theirs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.registry import Registry
from components.report.page import write_report
from pipelines.ir.executor_input import StepArtifact, StepCall
from pipelines.ir.tasks import report_input
from pipelines.plan import versions
from pipelines.state import read_json, write_json


def run(call: StepCall) -> None:
    """Write ROOT/runs/RUN_ID/run.json and report.html, and the page once more as an artifact."""
    run_dir = Path(call.parameters["root"]) / "runs" / call.parameters["run_id"]
    write_json(run_dir / "run.json", run_record(call))
    page = call.outputs["page"].path
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_bytes(write_report(run_dir).read_bytes())


def run_record(call: StepCall) -> dict[str, Any]:
    """Return what a run on this machine would have written, as far as the artifacts tell."""
    config, parameters = call.config(), call.parameters
    pushed = _pushed(Path(parameters["root"]), parameters["run_id"])
    evaluation = call.inputs.get(report_input("Evaluator", "evaluation"))
    started = datetime.fromisoformat(parameters["started"])
    return {
        "run_id": parameters["run_id"],
        "pipeline": config["spec"]["name"],
        **{key: config[key] for key in ("spec_file", "spec_text", "spec", "overrides")},
        "status": "pushed" if pushed else "blocked" if evaluation else "skipped",
        "started": parameters["started"],
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 2),
        "versions": versions(),
        "data": {"path": parameters["data_path"], "fingerprint": parameters["fingerprint"], "files": []},
        "nodes": [_node(name, section, keys, call) for name, section, keys in config["nodes"]],
        "verdict": read_json(evaluation.path / "verdict.json") if evaluation else None,
        "pushed": pushed,
        "failure": None,
    }


def _node(name: str, section: str, keys: list[str], call: StepCall) -> dict[str, Any]:
    """Return how a component ended; of the Pusher, which has no artifact here, the registry tells."""
    found = {key: call.inputs[report_input(name, key)] for key in keys if report_input(name, key) in call.inputs}
    first = next(iter(found.values()), StepArtifact("", ""))
    return {
        "name": name,
        "section": section,
        "status": "done" if found else "skipped",
        "why": "",
        "key": "",
        "seconds": first.metadata.get("seconds", 0.0),
        "peak_memory_mb": first.metadata.get("peak_memory_mb", 0.0),
        "outputs": {key: str(artifact.path) for key, artifact in found.items()},
        "summary": (read_json(first.path / "summary.json") or {}) if found else {},
    }


def _pushed(root: Path, run_id: str) -> dict[str, Any] | None:
    for model in reversed(Registry(root / "registry").all()):
        if model.run_id == run_id:
            return {"version": model.version, "destination": str(root)}
    return None
