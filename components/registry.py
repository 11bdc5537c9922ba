"""The blessed models of a pipeline: small JSON files, so that every runner finds the latest one the same way."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.engine.storage import RemoteFolder, in_parallel, is_remote, join

BELOW_ROOT = "root://"
"""Begins a URI that is relative to the pipeline's root, so that it holds on every machine that reads the root."""


@dataclass(frozen=True)
class BlessedModel:
    """One model that was pushed.

    Args:
        version: the number of the served version; larger is newer.
        trainer_key: cache key of the Trainer that made it; the same for an identical retraining.
        model_uri: folder of the Model artifact.
        statistics_uri: folder of the ExampleStatistics of its training data.
        evaluation_uri: folder of its ModelEvaluation.
        run_id: the run that pushed it.
        at: UTC time of the push, ISO 8601.
        blessed: False when it was pushed although the gate said no.
        override: who pushed it and why, when it is not blessed.
        source_uri: the Model artifact that was pushed, when `model_uri` is a copy of it.
    """

    version: int
    trainer_key: str
    model_uri: str
    statistics_uri: str
    evaluation_uri: str
    run_id: str
    at: str
    blessed: bool = True
    override: dict[str, str] | None = None
    source_uri: str | None = None

    def is_made_from(self, model_uri: str) -> bool:
        """Return True when it was pushed from this Model artifact."""
        return model_uri in {self.model_uri, self.source_uri}


class Registry:
    """The pushed models, as files `VERSION.json` in a folder.

    Args:
        folder: where the files are, a path or a URL; it need not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.remote = RemoteFolder(str(folder)) if is_remote(folder) else None
        self.folder = Path(folder)

    def all(self) -> list[BlessedModel]:
        """Return every pushed model, oldest first."""
        return [model for model in in_parallel(self._read, self.versions()) if model is not None]

    def get(self, version: int) -> BlessedModel | None:
        """Return one pushed model, or None when there is none of that version."""
        return self._read(version) if version in self.versions() else None

    def add(self, model: BlessedModel) -> None:
        """Record a pushed model; a reader sees all of the file or none of it."""
        text = json.dumps(asdict(model), indent=2)
        if self.remote is not None:
            self.remote.write(f"{model.version}.json", text.encode())
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"{model.version}.json"
        partial = target.with_suffix(".partial")
        partial.write_text(text)
        os.replace(partial, target)

    def latest_blessed(self, *, excluding_model_uri: str | None = None) -> BlessedModel | None:
        """Return the newest model that passed its gate, leaving out the candidate itself."""
        newest_first = (self._read(version) for version in reversed(self.versions()))
        return next((model for model in newest_first if _counts(model, excluding_model_uri)), None)

    def versions(self) -> list[int]:
        """Return the versions that were ever pushed, oldest first."""
        if self.remote is not None:
            names: Iterator[str] = (file.name for file in self.remote.files())
        else:
            names = (file.name for file in self.folder.iterdir()) if self.folder.is_dir() else iter(())
        return sorted(int(stem) for name in names if (stem := name.removesuffix(".json")) != name and stem.isdecimal())

    def _read(self, version: int) -> BlessedModel | None:
        name = f"{version}.json"
        if self.remote is None:
            return BlessedModel(**json.loads((self.folder / name).read_text()))
        content = self.remote.read(name)
        return None if content is None else BlessedModel(**json.loads(content))


def _counts(model: BlessedModel | None, excluding: str | None) -> bool:
    return model is not None and model.blessed and not (excluding and model.is_made_from(excluding))


def shared_root(runtime: Mapping[str, Any]) -> str:
    """Return where registry and served versions are: the remote root when there is one, else the folder of the run."""
    return str(runtime.get("remote") or runtime["root"])


def below_root(uri: str, root: str | Path) -> str:
    """Return the URI of a folder below a root in the form that holds on every machine; any other one as it is.

    Example:
        >>> below_root("/data/taxi/artifacts/Trainer/model/8", "/data/taxi")
        'root://artifacts/Trainer/model/8'
    """
    base = str(root).partition("?")[0].rstrip("/") + "/"
    return BELOW_ROOT + uri.removeprefix(base) if uri.startswith(base) else uri


def located(uri: str, root: str | Path) -> str:
    """Return where a URI of the registry is, seen from a root.

    Example:
        >>> located("root://blessed/7/model", "s3://bucket/taxi?region=eu-central-1")
        's3://bucket/taxi/blessed/7/model?region=eu-central-1'
    """
    return join(str(root), uri.removeprefix(BELOW_ROOT)) if uri.startswith(BELOW_ROOT) else uri
