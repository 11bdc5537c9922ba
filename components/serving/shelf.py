"""Where pushed versions stand, a local folder or a remote one, in TF Serving's layout `VERSION/saved_model.pb`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from components.engine.storage import RemoteFolder, is_remote, join
from components.engine.whole_folder import download_files, upload_files
from components.registry import BlessedModel
from components.serving.versions import SAVED_MODEL_FILE, is_version_name, version_folder, versions

EXTRA = "assets.extra"
"""Folder of a SavedModel that TensorFlow and TF Serving leave to others."""
ORIGIN_FILE = "sluice.json"
OVERRIDE_FILE = "override.json"
_INCOMING = ".incoming-"
_ABANDONED_AFTER_SECONDS = 3600.0


class Shelf(ABC):
    """The versions of one model."""

    @abstractmethod
    def __str__(self) -> str:
        """Return its path or URL, for messages and records."""

    @abstractmethod
    def versions(self) -> list[int]:
        """Return the complete versions, oldest first."""

    @abstractmethod
    def add(self, saved_model: Path, record: BlessedModel, taken: Iterable[int]) -> BlessedModel:
        """Publish a SavedModel as the newest version.

        Args:
            saved_model: folder of the SavedModel.
            record: what is written beside it.
            taken: versions that must not be used again, beside those on the shelf.

        Returns:
            The record with its version.
        """

    @abstractmethod
    def prune(self, keep: int) -> None:
        """Delete all but the newest versions."""

    @abstractmethod
    def _origin(self, version: int) -> bytes | None:
        """Return the content of a version's ORIGIN_FILE."""

    def destination(self, version: int) -> str:
        """Return the path or URL of a version."""
        return f"{self}/{version}"

    def newest(self) -> BlessedModel | None:
        """Return the record beside the newest version, the one that is served."""
        found = self.versions()
        text = self._origin(found[-1]) if found else None
        return None if text is None else BlessedModel(**json.loads(text))

    def _numbered(self, record: BlessedModel, taken: Iterable[int]) -> BlessedModel:
        newest = max([0, *self.versions(), *taken])
        return replace(record, version=max(int(time.time()), newest + 1))


def shelf_at(place: str) -> Shelf:
    """Return the shelf at a path or URL."""
    return RemoteShelf(place) if is_remote(place) else LocalShelf(Path(place))


class LocalShelf(Shelf):
    """Versions in a folder of this machine; each appears by one rename."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def versions(self) -> list[int]:
        return versions(self.folder)

    def add(self, saved_model: Path, record: BlessedModel, taken: Iterable[int]) -> BlessedModel:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._clear_abandoned()
        incoming = self.folder / f"{_INCOMING}{record.run_id or 'run'}-{os.getpid()}"
        shutil.rmtree(incoming, ignore_errors=True)
        taken = tuple(taken)
        try:
            shutil.copytree(saved_model, incoming)
            while True:
                record = self._numbered(record, taken)
                describe(incoming / EXTRA, record)
                if _rename(incoming, version_folder(self.folder, record.version)):
                    return record
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def prune(self, keep: int) -> None:
        for version in self.versions()[:-keep]:
            leaving = self.folder / f".leaving-{version}"
            version_folder(self.folder, version).rename(leaving)  # so that no server finds half of it
            shutil.rmtree(leaving, ignore_errors=True)

    def _origin(self, version: int) -> bytes | None:
        file = version_folder(self.folder, version) / EXTRA / ORIGIN_FILE
        return file.read_bytes() if file.is_file() else None

    def _clear_abandoned(self) -> None:
        """Delete what pushes that were killed left behind; younger ones may still be at work."""
        for entry in self.folder.glob(f"{_INCOMING}*"):
            with contextlib.suppress(FileNotFoundError):  # another push has just given it its version
                if time.time() - entry.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                    shutil.rmtree(entry, ignore_errors=True)


class RemoteShelf(Shelf):
    """Versions in a bucket, where nothing can be renamed: `saved_model.pb`, which makes a version one, comes last.

    TF Serving that looks at a version before that says so in its log and looks again.
    """

    def __init__(self, url: str) -> None:
        self.remote = RemoteFolder(url)

    def __str__(self) -> str:
        return self.remote.url

    def versions(self) -> list[int]:
        found = (file.name.split("/") for file in self.remote.files())
        return sorted(
            int(parts[0])
            for parts in found
            if len(parts) == 2 and parts[1] == SAVED_MODEL_FILE and is_version_name(parts[0])
        )

    def add(self, saved_model: Path, record: BlessedModel, taken: Iterable[int]) -> BlessedModel:
        self._clear_abandoned()
        record = self._numbered(record, taken)
        with tempfile.TemporaryDirectory() as extra:
            describe(Path(extra), record)
            upload_files(Path(extra), self.remote, f"{record.version}/{EXTRA}")
        upload_files(saved_model, self.remote, str(record.version), last=(SAVED_MODEL_FILE,))
        return record

    def prune(self, keep: int) -> None:
        for version in self.versions()[:-keep]:
            self.remote.delete_folder(str(version), first=(SAVED_MODEL_FILE,))

    def _origin(self, version: int) -> bytes | None:
        return self.remote.read(f"{version}/{EXTRA}/{ORIGIN_FILE}")

    def _clear_abandoned(self) -> None:
        """Delete versions whose upload died long ago; younger ones may still be at work."""
        whole = self.versions()
        now = time.time()
        for name in self.remote.folders():
            if is_version_name(name) and int(name) not in whole and now - int(name) > _ABANDONED_AFTER_SECONDS:
                self.remote.delete_folder(name)


def local_versions(place: str, folder: Path, version: int | None = None) -> Path:
    """Return a local base path, in TF Serving's layout, with the pushed versions that are asked for.

    Args:
        place: path or URL of the shelf.
        folder: where versions of a remote shelf are copied to; others that lie there are deleted.
        version: a version; the newest one when None.

    Returns:
        The shelf's own folder when it is on this machine, else `folder`, which is empty when there is no such version.
    """
    if not is_remote(place):
        return Path(place)
    shelf = RemoteShelf(place)
    found = shelf.versions()
    wanted = found[-1:] if version is None else [each for each in found if each == version]
    for entry in folder.iterdir() if folder.is_dir() else ():
        if not (entry.name.isdecimal() and int(entry.name) in wanted):
            shutil.rmtree(entry, ignore_errors=True)
    for each in wanted:
        if not (folder / str(each)).is_dir():
            download_files(shelf.remote, str(each), folder / str(each))
    return folder


def place_of(push_to: str, root: str) -> str:
    """Return the path or URL of the shelf that a spec names: relative to the root, absolute, or a URL."""
    if is_remote(push_to) or Path(push_to).is_absolute():
        return push_to
    return join(root, push_to)


def describe(extra: Path, record: BlessedModel) -> None:
    """Write down beside a SavedModel where it comes from, and who pushed it past the gate."""
    extra.mkdir(exist_ok=True)
    (extra / ORIGIN_FILE).write_text(json.dumps(asdict(record), indent=2), encoding="utf-8")
    if record.override:
        note: dict[str, Any] = {**record.override, "at": record.at, "evaluation_uri": record.evaluation_uri}
        (extra / OVERRIDE_FILE).write_text(json.dumps(note, indent=2), encoding="utf-8")


def _rename(source: Path, target: Path) -> bool:
    """Rename a folder; False when another push took the name a moment ago."""
    try:
        source.rename(target)
    except OSError:
        if target.exists():
            return False
        raise
    return True
