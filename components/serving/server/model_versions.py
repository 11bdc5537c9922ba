"""The loaded versions of a model: watches the folder, loads beside what serves, then swaps."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from components.serving.request_error import RequestError
from components.serving.versions import version_folder, versions

State = Literal["LOADING", "AVAILABLE", "END"]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A version that can answer; whoever holds it keeps it in memory, also after it was replaced."""

    version: int
    model: Any


@dataclass(frozen=True)
class VersionStatus:
    """What TF Serving tells of a version: its state, and why it is not served."""

    version: int
    state: State
    error: str = ""


class ModelVersions:
    """The versions of one model.

    The newest version that loads is served; when it goes away, the one before it is. A version that fails to load is
    reported, left alone until its files change, and the one before it goes on. When the folder becomes empty, what
    was served goes on too: an empty folder is more often an accident than a wish.

    Args:
        name: name of the model.
        base_path: folder of its versions.
        load: turns a version's folder into a model, warmed up.
        num_versions: how many of the newest versions are held in memory; older ones cannot be asked for.
    """

    def __init__(self, name: str, base_path: Path, load: Callable[[Path], Any], num_versions: int = 1) -> None:
        self.name = name
        self.base_path = base_path
        self._load = load
        self._num_versions = num_versions
        self._available: dict[int, Loaded] = {}  # replaced as a whole, never changed, so that readers need no lock
        self._statuses: dict[int, VersionStatus] = {}
        self._failed: dict[int, object] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, poll_seconds: float) -> None:
        """Watch the folder from a thread of its own; the first look is taken at once."""
        self._thread = threading.Thread(target=self._watch, args=(poll_seconds,), name="model-versions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; a load under way is waited for, since TensorFlow must not be torn down under it."""
        self._stopping.set()
        if self._thread:
            self._thread.join(timeout=60)

    def get(self, name: str, version: int | None = None) -> Loaded:
        """Return the asked version, or the newest one that is loaded.

        Raises:
            RequestError: another model's name, or a version that is not loaded (404); none is loaded yet (503).
        """
        self.check_name(name)
        available = self._available
        if version is not None and version not in available:
            loaded = ", ".join(map(str, sorted(available))) or "none"
            raise RequestError(f"version {version} of model {name} is not loaded; loaded: {loaded}", 404)
        if not available:
            if any(status.state == "LOADING" for status in self.statuses()):
                raise RequestError(f"model {name} is being loaded; ask again in a few seconds", 503)
            raise RequestError(f"model {name} has no version that can be served in {self.base_path}", 404)
        return available[max(available) if version is None else version]

    def check_name(self, name: str) -> None:
        """Refuse the name of a model that is not served here.

        Raises:
            RequestError: with status 404.
        """
        if name != self.name:
            raise RequestError(f'model "{name}" is unknown; this server has "{self.name}"', 404)

    def statuses(self) -> list[VersionStatus]:
        """Return what is known of each version, newest first."""
        return sorted(dict(self._statuses).values(), key=lambda status: -status.version)

    def poll(self) -> None:
        """Look at the folder once, and load or retire versions."""
        found = versions(self.base_path)
        wanted: list[int] = []
        for version in reversed(found):
            if len(wanted) == self._num_versions:
                break
            if self._ensure(version):
                wanted.append(version)
        if wanted:
            self._retire(set(self._available) - set(wanted))
        self._forget(set(found))

    def _watch(self, poll_seconds: float) -> None:
        while not self._stopping.is_set():
            try:
                self.poll()
            except OSError as error:  # the folder's disk may be away for a moment
                logger.warning("%s: cannot read %s: %s", self.name, self.base_path, error)
            self._stopping.wait(poll_seconds)

    def _ensure(self, version: int) -> bool:
        """Return True when the version is loaded, having loaded it if it was not."""
        if version in self._available:
            return True
        folder = version_folder(self.base_path, version)
        content = _fingerprint(folder)
        if self._stopping.is_set() or self._failed.get(version) == content:
            return False
        self._statuses[version] = VersionStatus(version, "LOADING")
        started = time.perf_counter()
        try:
            model = self._load(folder)
        except Exception as error:  # noqa: BLE001 (whatever is wrong with a new version must not stop the one that serves)
            text = (str(error).strip().splitlines() or [""])[0]
            self._failed[version] = content
            self._statuses[version] = VersionStatus(version, "END", f"{type(error).__name__}: {text}")
            logger.error("%s: version %d cannot be loaded: %s", self.name, version, self._statuses[version].error)
            return False
        self._available = {**self._available, version: Loaded(version, model)}
        self._statuses[version] = VersionStatus(version, "AVAILABLE")
        logger.info("%s: version %d is served (loaded in %.1f s)", self.name, version, time.perf_counter() - started)
        return True

    def _retire(self, leaving: set[int]) -> None:
        if not leaving:
            return
        self._available = {version: loaded for version, loaded in self._available.items() if version not in leaving}
        for version in sorted(leaving):
            self._statuses[version] = VersionStatus(version, "END")
            logger.info("%s: version %d is retired", self.name, version)
        gc.collect()  # a loaded SavedModel refers to itself; its memory would stay until the next full collection

    def _forget(self, found: set[int]) -> None:
        for version in set(self._statuses) - found - set(self._available):
            self._statuses.pop(version)
            self._failed.pop(version, None)


def _fingerprint(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when files of a version do: a broken copy is tried again once it was repaired."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return tuple((str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files)
