"""What a run left behind: fetched from the pipeline's root, or put together from what the server tells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.engine import storage
from components.errors import SluiceError
from pipelines.kubeflow.tasks import run_seconds
from pipelines.run_record import EXIT_CODES
from pipelines.runners.runner import NodeResult
from pipelines.state import write_json

FETCHED = ("report.html", "spec.yaml", "log.txt")
"""What is taken along with `run.json`, where it is there."""


@dataclass(frozen=True)
class Fetched:
    """The record of a run, as far as it could be read.

    Args:
        record: the content of `run.json`; None when it is not there or out of reach.
        note: why it is None.
    """

    record: dict[str, Any] | None
    note: str = ""


def fetch(root: str, run_id: str, folder: Path) -> Fetched:
    """Copy a run's record and page from the pipeline's root into a folder here.

    Args:
        root: the pipeline's root as the steps see it: a path, `s3://…` or `gs://…`.
        run_id: the run.
        folder: where to put them.
    """
    place = storage.join(root, "runs", run_id)
    try:
        content = _read(place, "run.json")
        if content is None:
            return Fetched(None, f"There is no run.json in {place}, as seen from here.")
        record = json.loads(content)
        folder.mkdir(parents=True, exist_ok=True)
        for name in FETCHED:
            if (other := _read(place, name)) is not None:
                (folder / name).write_bytes(other)
    except (SluiceError, OSError, ValueError) as error:
        return Fetched(None, f"The run's record in {place} could not be read: {error}")
    return Fetched(record)


def complete(
    fetched: Fetched, run: Mapping[str, Any], results: Sequence[NodeResult], failure: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the whole record of a run: what it wrote, corrected by what the server says of it.

    Args:
        fetched: what the run wrote.
        run: the server's view of it.
        results: one per node.
        failure: of the run, if it failed.
    """
    record: dict[str, Any] = {
        "run_id": run.get("run_id"),
        "verdict": None,
        "pushed": None,
        "seconds": run_seconds(run),
        **(fetched.record or {}),
        "failure": dict(failure) if failure else None,
    }
    record["nodes"] = _nodes(record.get("nodes") or [], results)
    written = record.get("status")
    if failure:
        record["status"] = "failed"
    elif fetched.record is None or written not in EXIT_CODES or written == "failed":
        record["status"] = _status(results)
    return record


def save(record: Mapping[str, Any], folder: Path) -> None:
    """Write `run.json`."""
    write_json(folder / "run.json", record)


def _read(place: str, name: str) -> bytes | None:
    if storage.is_remote(place):
        return storage.RemoteFolder(place).read(name)
    file = Path(place, name)
    return file.read_bytes() if file.is_file() else None


def _status(results: Sequence[NodeResult]) -> str:
    """Return how a run ended that went well, from the end of its last component."""
    by_name = {result.name: result.status for result in results}
    if by_name.get("Pusher") in {"done", "cached"}:
        return "pushed"
    reached = by_name.get("Evaluator") in {"done", "cached"}
    return "blocked" if reached and by_name.get("Pusher") == "skipped" else "partial"


def _nodes(written: Sequence[Mapping[str, Any]], results: Sequence[NodeResult]) -> list[dict[str, Any]]:
    """Return the components: what they made from the record, how they ended from the server."""
    known = {node["name"]: dict(node) for node in written}
    for result in results:
        own = asdict(result)
        if result.name in known:
            own = {key: value for key, value in own.items() if key in {"status", "why", "seconds"} and value}
        known[result.name] = {**known.get(result.name, {}), **own}
    return list(known.values())
