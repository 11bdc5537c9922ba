"""A pipeline's root on S3 or Google Cloud Storage, with the folder of this machine in which its runs work.

The work happens in the local folder. What others must see is copied to the root, and of each thing the part that makes
it count comes last: the outputs of a component, then ML Metadata, then the component's record. The root decides; the
local folder is a cache that may be deleted when no run is at work. Only what a run here had finished when the network
failed is ahead of the root, and the next run here sends it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.engine.storage import RemoteFile, RemoteFolder, StorageError, in_parallel
from components.engine.whole_folder import download_folder, is_whole, upload_folder
from components.errors import Problem, SpecError
from components.registry import below_root, located
from pipelines.lease import Lease

if TYPE_CHECKING:
    from pipelines.state import Record

METADATA = "metadata.sqlite"
IDENTITY = "state/identity.json"
LOG = "log.txt"
INDEX = ".mirror.json"
"""What the local folder holds as the root had it: name of a file to `[bytes, time of change]`, of a folder to True."""
_SMALL = re.compile(r"state/[^/]+/[^/]+\.json|state/identity\.json|registry/\d+\.json|runs/[^/]+/run\.json")
_UNSHARED = {"progress.jsonl", "run.json"}


class Mirror:
    """The local folder of a remote root.

    Args:
        url: of the root, with its options.
    """

    def __init__(self, url: str) -> None:
        self.remote = RemoteFolder(url)
        self.workspace = workspace_of(self.remote)
        self.lease: Lease | None = None
        self._index: dict[str, Any] = {}

    def refresh(self) -> None:
        """Bring records, registry, list of runs and ML Metadata here, and drop what the root does not have.

        Raises:
            SpecError: the root cannot be reached.
        """
        with _before_anything_runs():
            self._refresh()

    @contextlib.contextmanager
    def held(self, run_id: str, *, wait: bool, begin: Callable[[], object]) -> Iterator[Lease]:
        """Hold the root against the runs of other machines, and bring this folder up to date with it.

        Args:
            run_id: who holds it.
            wait: wait for another run instead of refusing.
            begin: what is done before anything is sent.

        Raises:
            SpecError: another run holds the root, or it cannot be reached.
        """
        lease = Lease(self.remote)
        with _before_anything_runs():
            self.remote.check()
            lease.acquire(run_id, wait=wait)
        try:
            self.refresh()
            begin()
            self.lease = lease
            self.settle()
            yield lease
        finally:
            self.lease = None
            lease.release()

    def _refresh(self) -> None:
        self.remote.check()
        self._index = _read_json(self.workspace / INDEX)
        there = self._listing()
        if self._index and there.get(IDENTITY) != self._index.get(IDENTITY):
            self._forget()  # the root was emptied, or is another one
        ahead = there.get(METADATA) == self._index.get(METADATA)
        self._drop(there, ahead)
        index = self._index
        wanted = [name for name, stamp in there.items() if index.get(name) != stamp or not self._at(name).exists()]
        in_parallel(lambda name: self._pull(name, there[name]), wanted)
        if not ahead:
            self._drop_outputs()
        self._write_index()

    def settle(self) -> None:
        """Send what earlier runs here finished and could not send; the root must be held."""
        for file in sorted((self.workspace / "state").glob("*/*.json"), key=lambda file: file.stat().st_mtime):
            if self._name(file) not in self._index:
                record = json.loads(file.read_text(encoding="utf-8"))
                if all(Path(output["uri"]).is_dir() for output in record["outputs"].values()):
                    self._send_finished(record, file)
                else:
                    file.unlink()  # somebody tidied up here; the component runs again
        for folder in sorted((self.workspace / "runs").glob("*/")):
            # of a run of another machine only run.json is here
            if (folder / "run.json").is_file() and (folder / LOG).is_file() and self._name(folder) not in self._index:
                self.send_run(folder)

    def holds(self, folder: str) -> bool:
        """Return True when an output is here, or whole at the root."""
        return Path(folder).is_dir() or is_whole(self.remote, self._name(folder))

    def fetch(self, folders: Iterable[str]) -> None:
        """Bring outputs here that are not.

        Raises:
            StorageError: one is not whole at the root, or did not come whole.
        """
        for folder in folders:
            if not Path(folder).is_dir():
                download_folder(self.remote, self._name(folder), Path(folder))
                self._index[self._name(folder)] = True
                self._write_index()

    def send_record(self, record: Record, file: Path) -> None:
        """Send a finished component: its outputs, ML Metadata, then its record.

        Raises:
            StorageError: something could not be sent, or the root is no longer held; the record is not there then.
        """
        self._send_finished(asdict(record), file)

    def send_run(self, folder: Path, *, whole: bool = True) -> None:
        """Send a run's folder; `run.json`, by which it is found, last. `whole=False` sends that alone."""
        if whole:
            files = [file for file in folder.iterdir() if file.is_file() and file.name not in _UNSHARED]
            in_parallel(lambda file: self.remote.write(self._name(file), file.read_bytes()), files)
        self._push(folder / "run.json")
        if whole:
            self._index[self._name(folder)] = True
        self._write_index()

    def send_file(self, name: str) -> None:
        """Send one small file of the local folder."""
        self._push(self.workspace / name)
        self._write_index()

    def _send_finished(self, record: dict[str, Any], file: Path) -> None:
        if self.lease is not None:
            self.lease.check()
        for output in record["outputs"].values():
            name = self._name(output["uri"])
            if name not in self._index:
                upload_folder(Path(output["uri"]), self.remote, name)
                self._index[name] = True
        if (self.workspace / METADATA).is_file():
            self._push(self.workspace / METADATA)
        self._push(file)
        self._write_index()

    def _listing(self) -> dict[str, list[int]]:
        parts = in_parallel(self.remote.files, ["state", "registry", "runs"])
        found = {file.name: _stamp(file) for files in parts for file in files if _SMALL.fullmatch(file.name)}
        metadata = self.remote.find(METADATA)
        return found | ({METADATA: _stamp(metadata)} if metadata else {})

    def _drop(self, there: dict[str, list[int]], ahead: bool) -> None:
        """Delete what the root no longer has and, unless this folder is ahead of it, what it never had."""
        for pattern in ("state/*/*.json", "registry/*.json", "runs/*/run.json", METADATA):
            for file in self.workspace.glob(pattern):
                name = self._name(file)
                # a run that was not sent stays, whoever went on meanwhile: nothing refers to it
                if name not in there and (name in self._index or not (ahead or pattern.startswith("runs"))):
                    file.unlink()
                    self._index.pop(name, None)

    def _drop_outputs(self) -> None:
        """Delete outputs that are no copy of what the root has: their numbers are given out again."""
        records = [_read_json(file) for file in (self.workspace / "state").glob("*/*.json")]
        named = {self._name(output["uri"]) for record in records for output in record["outputs"].values()}
        for folder in self.workspace.glob("artifacts/*/*/*"):
            if self._name(folder) not in named or self._name(folder) not in self._index:
                shutil.rmtree(folder, ignore_errors=True)
                self._index.pop(self._name(folder), None)

    def _forget(self) -> None:
        for name in ("artifacts", "state", "registry", "runs", "checkpoints"):
            shutil.rmtree(self.workspace / name, ignore_errors=True)
        (self.workspace / METADATA).unlink(missing_ok=True)
        self._index = {}

    def _pull(self, name: str, stamp: list[int]) -> None:
        content = self.remote.read(name)
        if content is None:
            return
        if name.endswith(".json") and not name.startswith("registry/"):
            here = str(self.workspace)
            content = json.dumps(_replaced(json.loads(content), lambda text: located(text, here)), indent=1).encode()
        target = self._at(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(content)
        os.utime(partial, ns=(stamp[1], stamp[1]))
        os.replace(partial, target)
        self._index[name] = stamp

    def _push(self, file: Path) -> None:
        name = self._name(file)
        if name == METADATA:
            content = _snapshot(file)
        else:
            found = json.loads(file.read_text(encoding="utf-8"))
            content = json.dumps(_replaced(found, lambda text: below_root(text, self.workspace)), indent=1).encode()
        self.remote.write(name, content)
        written = self.remote.find(name)
        self._index[name] = _stamp(written) if written else None

    def _at(self, name: str) -> Path:
        return self.workspace / name

    def _name(self, path: str | Path) -> str:
        return str(Path(path).relative_to(self.workspace))

    def _write_index(self) -> None:
        self.workspace.mkdir(parents=True, exist_ok=True)
        partial = self.workspace / f"{INDEX}.partial"
        partial.write_text(json.dumps(self._index), encoding="utf-8")
        os.replace(partial, self.workspace / INDEX)


@contextlib.contextmanager
def _before_anything_runs() -> Iterator[None]:
    """Say of a root that cannot be used what is said of a wrong option."""
    try:
        yield
    except StorageError as error:
        raise SpecError([Problem("--root", error.message, "a root that can be used", error.remedy)]) from error


def workspace_of(remote: RemoteFolder) -> Path:
    """Return the local folder of a remote root, in the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    where = f"{remote.url}?{sorted(remote.options.items())}"
    name = remote.path.rpartition("/")[2]
    return (cache / "sluice" / "roots" / f"{name}-{hashlib.sha256(where.encode()).hexdigest()[:10]}").resolve()


def _stamp(file: RemoteFile) -> list[int]:
    return [file.bytes, file.changed_ns]


def _snapshot(file: Path) -> bytes:
    """Return the bytes of an SQLite file as they are between two transactions."""
    copy = file.with_name(f".{file.name}.snapshot")
    copy.unlink(missing_ok=True)
    with sqlite3.connect(file) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    source.close()
    target.close()
    content = copy.read_bytes()
    copy.unlink()
    return content


def _replaced(value: Any, change: Any) -> Any:
    """Return a JSON value with every string changed."""
    if isinstance(value, dict):
        return {key: _replaced(inner, change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, change) for inner in value]
    return change(value) if isinstance(value, str) else value


def _read_json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
