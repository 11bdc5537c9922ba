"""The artifacts of a pushed model where every later run finds them: where they lie, or copied below the root.

On a cluster an artifact is a folder of the pod that made it, which no later pod has; in a local run it lies below the
root anyway and is not copied.
"""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

from components.engine.storage import RemoteFolder, is_remote
from components.engine.whole_folder import MANIFEST_ENDING, upload_folder
from components.registry import BlessedModel, Registry, below_root

FOLDER = "blessed"
"""`ROOT/blessed/NAME/{model,statistics,evaluation}`."""


class KeptModels:
    """Copies of pushed models' artifacts below a root.

    Args:
        root: folder of the pipeline, a path or a URL.
        workspace: the local folder that is mirrored to a remote root.
    """

    def __init__(self, root: str, workspace: str | Path | None) -> None:
        self.root = root
        self.workspace = workspace
        self.remote = RemoteFolder(root) if is_remote(root) else None

    def below_root(self, uri: str) -> str:
        """Return a URI as the registry of this root has it."""
        if self.remote is None:
            return uri
        return below_root(below_root(uri, self.root), self.workspace or self.root)

    def keep(self, record: BlessedModel) -> BlessedModel:
        """Return the record with URIs that later runs can follow, copying what lies outside the root."""
        uris = {
            "model": self.below_root(record.model_uri),
            "statistics": self.below_root(record.statistics_uri),
            "evaluation": self.below_root(record.evaluation_uri),
        }
        source, name = None, f"{record.run_id or 'run'}-{uuid.uuid4().hex[:6]}"
        if self.is_outside(uris["model"]):
            source = uris["model"]
            uris = {key: self._copy(Path(uri), f"{FOLDER}/{name}/{key}") for key, uri in uris.items()}
        return replace(
            record,
            model_uri=uris["model"],
            statistics_uri=uris["statistics"],
            evaluation_uri=uris["evaluation"],
            source_uri=source,
        )

    def prune(self, keep: int, registry: Registry) -> None:
        """Delete the copies of models beyond the newest ones; the latest blessed one stays whatever its age."""
        present = set(self._names())
        if not present:
            return
        models, latest = registry.all(), registry.latest_blessed()
        staying = {_name_in(model.model_uri) for model in [*models[-keep:], *([latest] if latest else [])]}
        # a copy that no record names may belong to a push at work
        for name in {_name_in(model.model_uri) for model in models[:-keep]} & present - staying:
            self._delete(str(name))

    def is_outside(self, uri: str) -> bool:
        """Return True for a folder that later runs will not find; takes what `below_root` returns."""
        if self.remote is not None:
            return not uri.startswith("root://")
        return Path(uri).is_dir() and not Path(uri).resolve().is_relative_to(Path(self.root).resolve())

    def _copy(self, source: Path, name: str) -> str:
        if self.remote is not None:
            upload_folder(source, self.remote, name)
            return f"root://{name}"
        target = Path(self.root, name)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        shutil.copytree(source, partial)
        partial.rename(target)
        return str(target)

    def _names(self) -> list[str]:
        if self.remote is not None:
            return self.remote.folders(FOLDER)
        folder = Path(self.root, FOLDER)
        return sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []

    def _delete(self, name: str) -> None:
        if self.remote is None:
            shutil.rmtree(Path(self.root, FOLDER, name), ignore_errors=True)
        else:
            marks = tuple(f"{key}{MANIFEST_ENDING}" for key in ("model", "statistics", "evaluation"))
            self.remote.delete_folder(f"{FOLDER}/{name}", first=marks)


def _name_in(uri: str) -> str | None:
    parts = uri.split("/")
    return parts[parts.index(FOLDER) + 1] if FOLDER in parts[:-1] else None
