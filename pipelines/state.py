"""What a pipeline leaves behind: its folder, one record per finished component, one folder per run, one lock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.engine.storage import StorageError, is_remote
from components.errors import Problem, SpecError
from components.registry import BlessedModel, Registry, below_root
from pipelines.mirror import Mirror

SQLITE = "sqlite"
"""Name of the metadata store that is a file in the pipeline's folder."""
SHOWN = (("Evaluator", "evaluation"), ("Trainer", "model_run"), ("StatisticsGen", "statistics"))
"""Outputs that a run's page and a comparison of runs read."""


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
        store: the metadata store that its artifact ids are of.
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
    store: str = SQLITE

    @property
    def output_uris(self) -> dict[str, str]:
        """Output name to folder."""
        return {name: output["uri"] for name, output in self.outputs.items()}


class PipelineRoot:
    """The folder of one pipeline: `artifacts/ checkpoints/ registry/ runs/ serving/ state/ metadata.sqlite`.

    Args:
        folder: where it is, a path or a URL; made when something is first written. Of a URL, `folder` is the local one
            in which its runs work, and `mirror` copies between the two.
        store: name of the metadata store.
    """

    def __init__(self, folder: str | Path, store: str = SQLITE) -> None:
        self.store = store
        self.mirror = Mirror(str(folder)) if is_remote(folder) else None
        self.folder = self.mirror.workspace if self.mirror else Path(folder).resolve()
        self.metadata = self.folder / "metadata.sqlite"
        self.registry = Registry(self.folder / "registry")

    @property
    def has_metadata(self) -> bool:
        """True when there is a metadata store that records can refer to."""
        return self.store != SQLITE or self.metadata.is_file()

    @property
    def place(self) -> str:
        """Path or URL of the root, with the URL's options."""
        return self.mirror.remote.full_url if self.mirror else str(self.folder)

    def identity(self) -> str:
        """Return an id that is this root's alone and stays with it; made when it is first asked for."""
        name = "state/identity.json"
        known = read_json(self.folder / name)
        if known is None:
            known = {"id": uuid.uuid4().hex[:12]}
            write_json(self.folder / name, known)
            if self.mirror:
                self.mirror.send_file(name)
        return str(known["id"])

    def refresh(self) -> None:
        """Bring here what others wrote to a remote root; nothing is to be done for a local one.

        Raises:
            SpecError: the root cannot be reached.
        """
        if self.mirror is None or self.mirror.lease is not None:
            return  # while this run holds the root nobody else writes to it
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("a+", encoding="utf-8") as file:
            if _try_lock(file.fileno()):
                self.mirror.refresh()
            # else a run of this machine is at work in the folder and keeps it up to date

    def holds(self, folder: str) -> bool:
        """Return True when an output of a finished component is still there."""
        return self.mirror.holds(folder) if self.mirror else Path(folder).is_dir()

    def fetch(self, folders: Iterable[str]) -> None:
        """Bring outputs here that lie only at a remote root.

        Raises:
            StorageError: one is gone, or did not come whole.
        """
        if self.mirror:
            self.mirror.fetch(folders)

    def fetch_shown(self, outputs: Mapping[str, Mapping[str, str]]) -> None:
        """Bring the outputs here that a page or a comparison reads, as far as they are still there.

        Args:
            outputs: component name to its outputs' names and folders.
        """
        for node, key in SHOWN:
            if folder := outputs.get(node, {}).get(key):
                with contextlib.suppress(StorageError):
                    self.fetch([folder])

    def send_run(self, folder: Path, *, whole: bool = True) -> None:
        """Send the folder of a run to a remote root; `whole=False` sends only how far it has come.

        Raises:
            StorageError: it could not be sent; the next run here sends it.
        """
        if self.mirror:
            self.mirror.send_run(folder, whole=whole)

    def latest_blessed(self, candidate: str | None) -> BlessedModel | None:
        """Return the newest model that passed its gate and was not made from the candidate, a Model artifact here."""
        known_as = below_root(candidate, self.folder) if candidate and self.mirror else candidate
        return self.registry.latest_blessed(excluding_model_uri=known_as)

    def record(self, node: str, key: str) -> Record | None:
        """Return the record of a node with that key, or None; one of another metadata store does not count."""
        found = _read_record(self.folder / "state" / node / f"{key}.json")
        return found if found is not None and found.store == self.store else None

    def latest_record(self, node: str) -> Record | None:
        """Return the record of a node that was written last, or None."""
        files = sorted((self.folder / "state" / node).glob("*.json"), key=lambda file: file.stat().st_mtime)
        return _read_record(files[-1]) if files else None

    def write_record(self, record: Record) -> None:
        """Write a record; a reader sees all of it or none.

        Raises:
            StorageError: it, or what it speaks of, could not be sent to a remote root; the next run here sends it.
        """
        file = self.folder / "state" / record.node / f"{record.key}.json"
        write_json(file, asdict(record))
        if self.mirror:
            self.mirror.send_record(record, file)

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
        self.refresh()
        runs = self.runs()
        offset = {"latest": -1, "previous": -2}.get(run_id)
        if offset is not None and len(runs) >= -offset:
            run_id = runs[offset]["run_id"]
        found = [run for run in runs if run["run_id"] == run_id]
        if not found:
            known = ", ".join(run["run_id"] for run in runs[-5:]) or "none yet"
            problem = Problem("run", repr(run_id), f"one of the runs in {self.folder / 'runs'}", f"Last ones: {known}.")
            raise SpecError([problem])
        self.fetch_shown({node["name"]: node["outputs"] for node in found[0].get("nodes", ())})
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
            if self.mirror is None:
                yield name
                return
            with self.mirror.held(run_id, wait=wait, begin=self.identity) as lease:

                def name_both(run_id: str) -> None:
                    name(run_id)
                    lease.name(run_id)

                yield name_both

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
