"""Publish a model for TF Serving: all of it at once, only with the gate's blessing, and never the same model twice."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.errors import ComponentError
from components.registry import BlessedModel, Registry
from components.serving.config import ServingConfig
from components.serving.versions import SAVED_MODEL_FILE, current_version, version_folder, versions

EXTRA = "assets.extra"
"""Folder of a SavedModel that TensorFlow and TF Serving leave to others."""
ORIGIN_FILE = "sluice.json"
OVERRIDE_FILE = "override.json"
_INCOMING = ".incoming-"
_ABANDONED_AFTER_SECONDS = 3600.0


@dataclass(frozen=True)
class Candidate:
    """A trained model that asks to be published.

    Args:
        saved_model: folder of its SavedModel.
        model_uri: folder of its Model artifact; tells whether the model is the one already served.
        evaluation_uri: folder of its ModelEvaluation.
        statistics_uri: folder of the ExampleStatistics of its training data.
        trainer_key: cache key of the Trainer that made it.
        run_id: the run that asks.
        blessed: what the gate said.
    """

    saved_model: Path
    model_uri: str
    evaluation_uri: str
    statistics_uri: str
    trainer_key: str
    run_id: str
    blessed: bool


@dataclass(frozen=True)
class Pushed:
    """What came of a push; `summary.json` of the pushed model holds it.

    Args:
        pushed: True when this call published a new version.
        version: the version that serves this model, or None when it is not served.
        destination: folder of that version, or the folder of all versions when there is none.
        reason: one sentence for the reader.
        already_served: True when the model was the current version before.
        override: who pushed it and why, when the gate had refused it.
    """

    pushed: bool
    version: int | None
    destination: str
    reason: str
    already_served: bool = False
    override: dict[str, str] | None = None


def push(candidate: Candidate, config: ServingConfig, root: Path, override: Mapping[str, str] | None = None) -> Pushed:
    """Publish the candidate as the newest version, if it may be.

    Args:
        candidate: the model.
        config: where it goes.
        root: folder of the pipeline.
        override: `{"reason": …, "by": …}` publishes what the gate refused, and is recorded beside it.

    Raises:
        ComponentError: no SavedModel, an override without reason or author, or a folder that cannot be written.
    """
    push_to, registry = root / config.push_to, Registry(root / "registry")
    if not candidate.blessed and override is None:
        return Pushed(False, None, str(push_to), f"the gate refused the model: {_refusal(candidate.evaluation_uri)}")
    record = _record(candidate, None if candidate.blessed else override)
    if served := _already_served(push_to, candidate.model_uri):
        _confirm(registry, served, record)
        folder = version_folder(push_to, served.version)
        return Pushed(False, served.version, str(folder), f"version {served.version} is this very model", True)
    try:
        version = _publish(candidate.saved_model, push_to, record, registry)
        _prune(push_to, config.keep_versions)
    except OSError as error:
        raise ComponentError(
            f"The model could not be written to {push_to}: {error}.",
            spec_path="serving.push_to",
            remedy="Make the folder writable, or name another one.",
        ) from error
    return Pushed(
        True, version, str(version_folder(push_to, version)), _why(record, override), override=record.override
    )


def _why(record: BlessedModel, override: Mapping[str, str] | None) -> str:
    if record.override:
        return f"the gate refused the model; pushed by {record.override['by']}: {record.override['reason']}"
    return "the gate passed" + ("; the override was not needed" if override else "")


def _record(candidate: Candidate, override: Mapping[str, str] | None) -> BlessedModel:
    if override is not None and not (override.get("reason") and override.get("by")):
        raise ComponentError(
            f"A push past the gate needs a reason and an author; got {dict(override)!r}.",
            remedy='Say why, as in --override-gate "holiday traffic, checked by hand".',
        )
    return BlessedModel(
        version=0,
        trainer_key=candidate.trainer_key,
        model_uri=candidate.model_uri,
        statistics_uri=candidate.statistics_uri,
        evaluation_uri=candidate.evaluation_uri,
        run_id=candidate.run_id,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        blessed=candidate.blessed,
        override=dict(override) if override else None,
    )


def _refusal(evaluation_uri: str) -> str:
    verdict = Path(evaluation_uri) / "verdict.json"
    reasons = json.loads(verdict.read_text(encoding="utf-8")).get("reasons", []) if verdict.is_file() else []
    return "; ".join(reasons) or "it was not blessed"


def _already_served(push_to: Path, model_uri: str) -> BlessedModel | None:
    """Return the record of the current version when it was made from the same Model artifact."""
    version = current_version(push_to)
    origin = version_folder(push_to, version) / EXTRA / ORIGIN_FILE if version else None
    if origin is None or not origin.is_file():
        return None
    record = BlessedModel(**json.loads(origin.read_text(encoding="utf-8")))
    return record if record.model_uri == model_uri else None


def _confirm(registry: Registry, served: BlessedModel, record: BlessedModel) -> None:
    """Bring the registry up to date: a push may have died before it was recorded, or the gate now says yes.

    An override stays recorded; a blessing is never taken back here, since the version that serves did pass once.
    """
    known = {model.version: model for model in registry.all()}.get(served.version)
    if known is None:
        registry.add(served)
    if record.blessed and not (known or served).blessed:
        registry.add(replace(known or served, blessed=True, evaluation_uri=record.evaluation_uri))


def _publish(saved_model: Path, push_to: Path, record: BlessedModel, registry: Registry) -> int:
    """Copy beside the versions, then rename: whoever looks sees all of the version or none of it."""
    if not (saved_model / SAVED_MODEL_FILE).is_file():
        raise ComponentError(
            f"The model has no SavedModel: {saved_model / SAVED_MODEL_FILE} does not exist.",
            spec_path="training",
            remedy="Run again with --no-cache if files of the run were deleted.",
        )
    push_to.mkdir(parents=True, exist_ok=True)
    _clear_abandoned(push_to)
    incoming = push_to / f"{_INCOMING}{record.run_id or 'run'}-{os.getpid()}"
    shutil.rmtree(incoming, ignore_errors=True)
    try:
        shutil.copytree(saved_model, incoming)
        while True:
            newest = max([0, *versions(push_to), *(model.version for model in registry.all())])
            record = replace(record, version=max(int(time.time()), newest + 1))
            _describe(incoming / EXTRA, record)
            if _rename(incoming, version_folder(push_to, record.version)):
                break
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    registry.add(record)
    return record.version


def _rename(source: Path, target: Path) -> bool:
    """Rename a folder; False when another push took the name a moment ago."""
    try:
        source.rename(target)
    except OSError:
        if target.exists():
            return False
        raise
    return True


def _describe(extra: Path, record: BlessedModel) -> None:
    extra.mkdir(exist_ok=True)
    (extra / ORIGIN_FILE).write_text(json.dumps(asdict(record), indent=2), encoding="utf-8")
    if record.override:
        note = {**record.override, "at": record.at, "evaluation_uri": record.evaluation_uri}
        (extra / OVERRIDE_FILE).write_text(json.dumps(note, indent=2), encoding="utf-8")


def _clear_abandoned(push_to: Path) -> None:
    """Delete what pushes that were killed left behind; younger ones may still be at work."""
    for entry in push_to.glob(f"{_INCOMING}*"):
        if time.time() - entry.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)


def _prune(push_to: Path, keep: int) -> None:
    for version in versions(push_to)[:-keep]:
        leaving = push_to / f".leaving-{version}"
        version_folder(push_to, version).rename(leaving)  # so that no server finds half of it
        shutil.rmtree(leaving, ignore_errors=True)


def write_summary(folder: Path, pushed: Pushed) -> dict[str, Any]:
    """Write `summary.json` and return what it says."""
    summary = asdict(pushed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
    return summary
