"""The last step: write the run's record and page where all runs of the pipeline leave theirs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.engine.storage import RemoteFolder, is_remote, join
from components.registry import Registry
from pipelines.ir import ui_artifacts
from pipelines.ir.executor_input import StepArtifact, StepCall
from pipelines.ir.tasks import report_input
from pipelines.plan import versions
from pipelines.state import read_json


def run(call: StepCall) -> None:
    """Write ROOT/runs/RUN_ID/run.json and report.html, and the page once more as an artifact."""
    record = run_record(call)
    written = ui_artifacts.page(record).encode()
    page = call.outputs["page"].path
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_bytes(written)
    keep(call.parameters["root"], call.parameters["run_id"], {"report.html": written, "run.json": encoded(record)})


def encoded(record: dict[str, Any]) -> bytes:
    """Return a record as the bytes of its file."""
    return json.dumps(record, indent=1, default=str).encode()


def keep(root: str, run_id: str, files: Mapping[str, bytes]) -> None:
    """Write files into the folder of a run, in this order; whoever finds one finds all of it."""
    if is_remote(root):
        for name, content in files.items():
            RemoteFolder(root).write(f"runs/{run_id}/{name}", content)
        return
    folder = Path(root, "runs", run_id)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        partial = folder / f".{name}.partial"
        partial.write_bytes(content)
        os.replace(partial, folder / name)


def run_record(call: StepCall) -> dict[str, Any]:
    """Return what a run on this machine would have written, as far as the artifacts tell."""
    config, parameters = call.config(), call.parameters
    pushed = _pushed(parameters["root"], parameters["run_id"])
    evaluation = call.inputs.get(report_input("Evaluator", "evaluation"))
    started = datetime.fromisoformat(parameters["started"])
    nodes = [_node(name, section, keys, call) for name, section, keys in config["nodes"]]
    summaries = {node["name"]: node["summary"] for node in nodes}
    return {
        "run_id": parameters["run_id"],
        "pipeline": config["spec"]["name"],
        **{key: config[key] for key in ("spec_file", "spec_text", "spec", "overrides")},
        "status": "pushed" if pushed else "blocked" if evaluation else "skipped",
        "started": parameters["started"],
        "seconds": round((datetime.now(UTC) - started).total_seconds(), 2),
        "versions": versions(),
        "data": {
            "path": parameters["data_path"],
            "fingerprint": parameters["fingerprint"],
            "files": [],
            "spans": summaries["ExampleGen"].get("spans", []),
        },
        "nodes": nodes,
        "decision": summaries.get("Decider") or None,
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


def _pushed(root: str, run_id: str) -> dict[str, Any] | None:
    for model in reversed(Registry(join(root, "registry")).all()):
        if model.run_id == run_id:
            return {"version": model.version, "destination": root}
    return None
