"""What is known of earlier trainings: the newest records that runs left in the pipeline's folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.engine.storage import RemoteFolder, is_remote
from components.retraining.decision import Blessed, Training

TRAINED = ("pushed", "blocked")
"""How a run ends that brought a model to the gate."""


def newest_first(root: str) -> Iterator[dict[str, Any]]:
    """Yield the `run.json` of every run below a pipeline's folder, on this machine or in an object store.

    What was written last comes first; the names of runs on a cluster say nothing of the time.
    """
    if is_remote(root):
        folder = RemoteFolder(root)
        there = [file for file in folder.files("runs") if file.name.count("/") == 2 and file.name.endswith("/run.json")]
        names = [file.name for file in sorted(there, key=lambda file: file.changed_ns, reverse=True)]
        found = (folder.read(name) for name in names)
    else:
        files = sorted(Path(root, "runs").glob("*/run.json"), key=_written, reverse=True)
        found = (file.read_bytes() for file in files)
    for content in found:
        if content is not None:
            yield json.loads(content)


def record_of(root: str, run_id: str) -> dict[str, Any] | None:
    """Return the `run.json` of one run, or None when there is none."""
    if is_remote(root):
        content = RemoteFolder(root).read(f"runs/{run_id}/run.json")
    else:
        file = Path(root, "runs", run_id, "run.json")
        content = file.read_bytes() if file.is_file() else None
    return None if content is None else json.loads(content)


def _written(file: Path) -> tuple[int, str]:
    return file.stat().st_mtime_ns, str(file)


def last_training(runs: Iterable[Mapping[str, Any]]) -> Training | None:
    """Return the last run that trained a model and brought it to the gate.

    Args:
        runs: records, newest first; no more of them are read than needed.
    """
    run = next((run for run in runs if run.get("status") in TRAINED), None)
    if run is None:
        return None
    decision = run.get("decision") or {}
    return Training(
        run_id=str(run["run_id"]),
        at=moment(run),
        passed=run["status"] == "pushed",
        fingerprint=str((run.get("data") or {}).get("fingerprint") or decision.get("fingerprint") or ""),
        settings=decision.get("settings") or {},
    )


def blessed_model(root: str, model: Mapping[str, Any] | None) -> Blessed | None:
    """Return the blessed model with the time of its run, or of its push when the run has left no record.

    Args:
        root: the pipeline's folder.
        model: the registry's entry.
    """
    if model is None:
        return None
    run = record_of(root, str(model["run_id"]))
    return Blessed(int(model["version"]), moment(run) if run else _time(model["at"]))


def moment(run: Mapping[str, Any]) -> datetime:
    """Return the time that a run took for the present."""
    return _time(str(run.get("now") or run["started"]))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
