"""The folder through which the Trainer and its workers hand over data, model and checkpoints."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.engine.storage import RemoteFolder, in_parallel, is_remote
from components.errors import ComponentError
from components.training.job import Job

JOB_FILE = "job.json"
INPUTS = ("train_folder", "eval_folder", "transform_graph", "raw_folder")
OUTPUTS = ("model_folder", "run_folder")
CHECKPOINT = "checkpoint"
DIRECT = "in_place"
"""Key of `job.json`: its folders are the Trainer's own."""


class Exchange:
    """One folder that the Trainer and all its workers can read: a shared volume, or `s3://` and `gs://`.

    It holds `job.json`, `inputs/`, `outputs/` and `checkpoint/`.

    Args:
        place: path or URL.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.remote = RemoteFolder(place) if is_remote(place) else None

    def offer(self, job: Job) -> None:
        """Bring a job and what it reads to where workers find them; the Trainer calls it."""
        self._make()
        for name in INPUTS:
            self._send(Path(getattr(job, name)), f"inputs/{name}")
        self._write(JOB_FILE, _as_json(job))

    def offer_in_place(self, job: Job) -> None:
        """Bring only the job itself: workers on this machine read and write the Trainer's own folders."""
        self._make()
        self._write(JOB_FILE, {**_as_json(job), DIRECT: True})

    def take(self, job: Job) -> None:
        """Bring what the chief has written to where the Trainer's outputs belong."""
        for name in OUTPUTS:
            self._fetch(f"outputs/{name}", Path(getattr(job, name)))
        if not job.serving_folder.is_dir():
            raise ComponentError(
                f"All workers have ended without an error, and there is no model in {self.place}.",
                remedy="Check that the Trainer and its workers see the same storage.",
            )

    def clear(self, *, keep_checkpoint: bool) -> None:
        """Delete what was handed over; the checkpoint of a training that failed stays, for the next attempt."""
        if self.remote is not None:
            for name in ("inputs", "outputs", *(() if keep_checkpoint else (CHECKPOINT,))):
                self.remote.delete_folder(name)
            self.remote.delete(JOB_FILE)
        elif keep_checkpoint:
            for name in ("inputs", "outputs"):
                shutil.rmtree(Path(self.place, name), ignore_errors=True)
        else:
            shutil.rmtree(self.place, ignore_errors=True)

    def receive(self, work: Path) -> Job:
        """Return the job with its folders on this machine; a worker calls it.

        Args:
            work: an empty folder for what must be copied here.

        Raises:
            ComponentError: there is no job.
        """
        given = self._job()
        if given.pop(DIRECT, False):
            return _of_json(given)
        base = work if self.remote is not None else Path(self.place)
        for name in INPUTS if self.remote is not None else ():
            self._fetch(f"inputs/{name}", base / "inputs" / name)
        serving = base / "outputs" / "model_folder" / Path(given["serving_folder"]).name
        folders = {name: str(base / "inputs" / name) for name in INPUTS}
        written: dict[str, Any] = {name: base / "outputs" / name for name in OUTPUTS}
        checkpoint = base / CHECKPOINT
        if self.remote is not None:
            self._fetch(CHECKPOINT, checkpoint)
        return _of_json({**given, **folders, **written, "serving_folder": serving, "checkpoints": checkpoint})

    def keep_checkpoint(self, folder: Path) -> None:
        """Bring the chief's checkpoint to the exchange."""
        if self.remote is not None:
            self._send(folder, CHECKPOINT)

    def give(self, job: Job) -> None:
        """Bring what the chief has written to the exchange."""
        if self.remote is not None:
            for name in OUTPUTS:
                self._send(Path(getattr(job, name)), f"outputs/{name}")

    def _make(self) -> None:
        if self.remote is None:
            Path(self.place).mkdir(parents=True, exist_ok=True)

    def _job(self) -> dict[str, Any]:
        if self.remote is not None:
            content = self.remote.read(JOB_FILE)
        else:
            path = Path(self.place, JOB_FILE)
            content = path.read_bytes() if path.is_file() else None
        if content is None:
            raise ComponentError(
                f"There is no {JOB_FILE} in {self.place}.",
                remedy="The pipeline's root must be reachable from every worker under the same address: s3://, gs://, "
                "or a volume that is mounted at the same path.",
            )
        found: dict[str, Any] = json.loads(content)
        return found

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        data = json.dumps(content, indent=1, sort_keys=True).encode()
        if self.remote is not None:
            self.remote.write(name, data)
            return
        partial = Path(self.place, f".{name}.partial")
        partial.write_bytes(data)
        os.replace(partial, Path(self.place, name))

    def _send(self, folder: Path, name: str) -> None:
        if self.remote is None:
            shutil.rmtree(Path(self.place, name), ignore_errors=True)
            shutil.copytree(folder, Path(self.place, name))
            return
        remote = self.remote
        names = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
        stale = {file.name.removeprefix(f"{name}/") for file in remote.files(name)} - set(names)
        remote.delete(*(f"{name}/{each}" for each in stale))
        in_parallel(lambda each: remote.write(f"{name}/{each}", (folder / each).read_bytes()), names)

    def _fetch(self, name: str, folder: Path) -> None:
        if self.remote is None:
            if Path(self.place, name).is_dir():
                shutil.copytree(Path(self.place, name), folder, dirs_exist_ok=True)
            return
        remote = self.remote

        def copy(each: str) -> None:
            target = folder / each.removeprefix(f"{name}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                for chunk in remote.chunks(each):
                    file.write(chunk)

        in_parallel(copy, [file.name for file in remote.files(name)])


def _as_json(job: Job) -> dict[str, Any]:
    found = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(job).items()}
    runtime = {key: value for key, value in job.runtime.items() if key != "worker_pod"}
    # A worker tells its progress in its log; the Trainer passes it on.
    return {**found, "runtime": {**runtime, "progress": "-"}}


def _of_json(given: Mapping[str, Any]) -> Job:
    paths = {key: Path(given[key]) for key in (*OUTPUTS, "serving_folder", "checkpoints") if given[key] is not None}
    return Job(**{**given, **paths})
