"""Publish a model for TF Serving: all of it at once, only with the gate's blessing, and never the same model twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.engine.storage import join
from components.errors import ComponentError
from components.registry import BlessedModel, Registry
from components.serving.config import ServingConfig
from components.serving.kept_models import KeptModels
from components.serving.shelf import Shelf, place_of, shelf_at
from components.serving.versions import SAVED_MODEL_FILE


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


def push(
    candidate: Candidate,
    config: ServingConfig,
    root: str | Path,
    override: Mapping[str, str] | None = None,
    workspace: str | Path | None = None,
) -> Pushed:
    """Publish the candidate as the newest version, if it may be.

    Args:
        candidate: the model.
        config: where it goes.
        root: folder of the pipeline, a path or a URL; versions and registry are below it.
        override: `{"reason": …, "by": …}` publishes what the gate refused, and is recorded beside it.
        workspace: the local folder that is mirrored to a remote root; what lies in it need not be copied.

    Raises:
        ComponentError: no SavedModel, an override without reason or author, or a folder that cannot be written.
    """
    place = str(root)
    shelf, registry = shelf_at(place_of(config.push_to, place)), Registry(join(place, "registry"))
    if not candidate.blessed and override is None:
        return Pushed(False, None, str(shelf), f"the gate refused the model: {_refusal(candidate.evaluation_uri)}")
    record = _record(candidate, None if candidate.blessed else override)
    kept = KeptModels(place, workspace)
    try:
        served = shelf.newest()
        if served is not None and served.is_made_from(kept.below_root(candidate.model_uri)):
            _confirm(registry, served, record, kept)
            reason = f"version {served.version} is this very model"
            return Pushed(False, served.version, shelf.destination(served.version), reason, True)
        record = _publish(candidate.saved_model, shelf, kept, record, registry)
        shelf.prune(config.keep_versions)
        kept.prune(config.keep_versions, registry)
    except OSError as error:
        raise ComponentError(
            f"The model could not be written to {shelf}: {error}.",
            spec_path="serving.push_to",
            remedy="Make the folder writable, or name another one.",
        ) from error
    return Pushed(
        True, record.version, shelf.destination(record.version), _why(record, override), override=record.override
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


def _confirm(registry: Registry, served: BlessedModel, record: BlessedModel, kept: KeptModels) -> None:
    """Bring the registry up to date: a push may have died before it was recorded, or the gate now says yes.

    An override stays recorded; a blessing is never taken back here, since the version that serves did pass once.
    """
    known = registry.get(served.version)
    if known is None:
        registry.add(served)
    if record.blessed and not (known or served).blessed:
        found = known or served
        evaluation = kept.below_root(record.evaluation_uri)
        if kept.is_outside(evaluation):  # the new evaluation will be gone with its pod
            evaluation = found.evaluation_uri
        registry.add(replace(found, blessed=True, evaluation_uri=evaluation))


def _publish(
    saved_model: Path, shelf: Shelf, kept: KeptModels, record: BlessedModel, registry: Registry
) -> BlessedModel:
    """Publish, then record; whoever comes after a push that died in between records it."""
    if not (saved_model / SAVED_MODEL_FILE).is_file():
        raise ComponentError(
            f"The model has no SavedModel: {saved_model / SAVED_MODEL_FILE} does not exist.",
            spec_path="training",
            remedy="Run again with --no-cache if files of the run were deleted.",
        )
    record = shelf.add(saved_model, kept.keep(record), registry.versions())
    registry.add(record)
    return record


def write_summary(folder: Path, pushed: Pushed) -> dict[str, Any]:
    """Write `summary.json` and return what it says."""
    summary = asdict(pushed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
    return summary
