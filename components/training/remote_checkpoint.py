"""The checkpoint of a training at a remote root, so that an attempt on another machine goes on with it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from components.engine.storage import RemoteFolder, StorageError
from components.training.checkpoint import FILE
from components.training.job import Job


class RemoteCheckpoint:
    """Copies the one file of a checkpoint to the root and back; a copy that fails costs a resume, not the training.

    Args:
        remote: the pipeline's root.
        key: of the training; only the same training finds it.
    """

    def __init__(self, remote: RemoteFolder, key: str) -> None:
        self.remote = remote
        self.name = f"checkpoints/{key}/{FILE}"

    @classmethod
    def of(cls, job: Job) -> RemoteCheckpoint | None:
        """Return it for a job, or None when its root is on this machine or its workers have a folder for this."""
        place, key = job.runtime.get("remote"), job.runtime.get("trainer_key")
        return cls(RemoteFolder(place), key) if place and key and job.checkpoints is None else None

    def fetch(self, folder: Path) -> None:
        """Bring the checkpoint of an earlier attempt here, unless this machine has one."""
        if (folder / FILE).is_file():
            return
        try:
            content = self.remote.read(self.name)
        except StorageError as error:
            self._warn("read", error)
            return
        if content is not None:
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f".{FILE}.{os.getpid()}.fetched"
            partial.write_bytes(content)
            os.replace(partial, folder / FILE)

    def keep(self, folder: Path) -> None:
        """Send the checkpoint that was just written."""
        try:
            self.remote.write(self.name, (folder / FILE).read_bytes())
        except (StorageError, OSError) as error:
            self._warn("sent", error)

    def clear(self) -> None:
        """Delete it: the training is over."""
        try:
            self.remote.delete(self.name)
        except StorageError as error:
            self._warn("deleted", error)

    def _warn(self, what: str, error: Exception) -> None:
        logging.getLogger("sluice").warning(
            "the checkpoint %s/%s could not be %s: %s", self.remote, self.name, what, error
        )
