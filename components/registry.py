"""The blessed models of a pipeline: small JSON files, so that every runner finds the latest one the same way."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


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


class Registry:
    """The pushed models, as files `VERSION.json` in a folder.

    Args:
        folder: where the files are; it need not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def all(self) -> list[BlessedModel]:
        """Return every pushed model, oldest first."""
        if not self.folder.is_dir():
            return []
        files = [file for file in self.folder.iterdir() if file.suffix == ".json"]
        models = [BlessedModel(**json.loads(file.read_text())) for file in files]
        return sorted(models, key=lambda model: model.version)

    def add(self, model: BlessedModel) -> None:
        """Record a pushed model; a reader sees all of the file or none of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / f"{model.version}.json"
        partial = target.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(model), indent=2))
        os.replace(partial, target)

    def latest_blessed(self, *, excluding_model_uri: str | None = None) -> BlessedModel | None:
        """Return the newest model that passed its gate, leaving out the candidate itself."""
        found = [model for model in self.all() if model.blessed and model.model_uri != excluding_model_uri]
        return found[-1] if found else None
