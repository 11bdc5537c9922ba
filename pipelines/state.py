"""What a pipeline leaves on disk: its folder, one record per finished component, one folder per run, one lock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.errors import Problem, SpecError
from components.registry import Registry


@dataclass(frozen=True)
class Record:
    """One finished execution of a component, found again by its cache key.

    Args:
        node: name of the component.
        key: its cache key.
        facts: what the key was computed from, to say later what changed.
        inputs: input name to the folder it read.
        outputs: output name to `{"uri", "artifact_id", "type"}`.
        run_id: the run it was made in.
        seconds: wall time.
        peak_memory_mb: largest resident memory of the process while it ran, MB.
        summary: the component's own `summary.json`.
    """

    node: str
    key: str
    facts: dict[str, Any]
    inputs: dict[str, str]
    outputs: dict[str, dict[str, Any]]
    run_id: str
    seconds: float
    peak_memory_mb: float
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def output_uris(self) -> dict[str, str]:
        """Output name to folder."""
        return {name: output["uri"] for name, output in self.outputs.items()}


class PipelineRoot:
    """The folder of one pipeline: `artifacts/ checkpoints/ registry/ runs/ serving/ state/ metadata.sqlite`.

    Args:
        folder: where it is; made when something is first written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        self.metadata = self.folder / "metadata.sqlite"
        self.registry = Registry(self.folder / "registry")

    def record(self, node: str, key: str) -> Record | None:
        """Return the record of a node with that key, or None."""
        return _read_record(self.folder / "state" / node / f"{key}.json")

    def latest_record(self, node: str) -> Record | None:
        """Return the record of a node that was written last, or None."""
        files = sorted((self.folder / "state" / node).glob("*.json"), key=lambda file: file.stat().st_mtime)
        return _read_record(files[-1]) if files else None

    def write_record(self, record: Record) -> None:
        """Write a record; a reader sees all of it or none."""
        write_json(self.folder / "state" / record.node / f"{record.key}.json", asdict(record))

    def new_run(self) -> tuple[str, Path]:
        """Make the folder of a new run; return its id (time of the start, UTC) and the folder."""
        stem = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for suffix in ("", *(f"-{number}" for number in range(2, 1000))):
            folder = self.folder / "runs" / (stem + suffix)
            with contextlib.suppress(FileExistsError):
                folder.mkdir(parents=True)
                return folder.name, folder
        raise RuntimeError(f"cannot make a run folder {stem} in {self.folder / 'runs'}")

    def runs(self) -> list[dict[str, Any]]:
        """Return the `run.json` of every run, oldest first."""
        files = sorted((self.folder / "runs").glob("*/run.json"))
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    def run(self, run_id: str) -> dict[str, Any]:
        """Return one run's `run.json`; `latest` and `previous` are the last two.

        Raises:
            SpecError: there is no such run.
        """
        runs = self.runs()
        offset = {"latest": -1, "previous": -2}.get(run_id)
        if offset is not None and len(runs) >= -offset:
            return runs[offset]
        found = [run for run in runs if run["run_id"] == run_id]
        if not found:
            known = ", ".join(run["run_id"] for run in runs[-5:]) or "none yet"
            problem = Problem("run", repr(run_id), f"one of the runs in {self.folder / 'runs'}", f"Last ones: {known}.")
            raise SpecError([problem])
        return found[0]

    @contextlib.contextmanager
    def lock(self, run_id: str, *, wait: bool = False) -> Iterator[Callable[[str], None]]:
        """Hold the pipeline, so that two runs do not do the same work twice; yield a function that names the run.

        The lock goes with the process, so a killed run leaves none behind.

        Raises:
            SpecError: another run holds it and `wait` is false.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+", encoding="utf-8") as file:
            while not _try_lock(file.fileno()):
                if not wait:
                    raise SpecError([self._held(file)])
                time.sleep(0.5)

            def name(run_id: str) -> None:
                file.seek(0)
                file.truncate()
                json.dump({"run_id": run_id, "pid": os.getpid()}, file)
                file.flush()

            name(run_id)
            yield name

    def _held(self, file: Any) -> Problem:
        file.seek(0)
        try:
            holder = json.load(file)
        except ValueError:
            holder = {"run_id": "unknown", "pid": "unknown"}
        return Problem(
            "run",
            f"a second run of {self.folder}",
            f"one run at a time: run {holder['run_id']} (process {holder['pid']}) is working on it",
            "Wait for it (`--wait` does), or give this run its own folder with `--root`.",
        )


def write_json(path: Path, content: Any) -> None:
    """Write JSON so that a reader sees all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")
    os.replace(partial, path)


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, or None when it is not there."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _read_record(path: Path) -> Record | None:
    content = read_json(path)
    return None if content is None else Record(**content)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
