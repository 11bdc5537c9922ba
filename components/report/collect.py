"""Everything a run left behind, read into one plain dictionary; what cannot be read is missing, never an error."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from components.report import predictions, statistics

Json = dict[str, Any]


@dataclass
class Findings:
    """What was found of a run.

    Args:
        data: the machine-readable numbers; the page embeds them, and what it shows is a path into them.
        problems: name of a part (`metrics`, `history`, …) to why it could not be read.
        arrays: large columns that plots need and the page does not embed.
        root: the pipeline's folder; paths below it are shown without it.
    """

    data: Json
    problems: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, Any] = field(default_factory=dict)
    root: Path = Path()

    def node(self, name: str) -> Json:
        """Return the record of a component, empty when the run has none."""
        nodes = self.data["run"].get("nodes") or []
        return next((node for node in nodes if isinstance(node, dict) and node.get("name") == name), {})

    def output(self, name: str, key: str) -> Path | None:
        """Return the folder of an output on this machine, or None."""
        uri = (self.node(name).get("outputs") or {}).get(key)
        return local_path(uri) if uri else None


def local_path(uri: str) -> Path:
    """Return the path of a `file://` URI or of a plain path."""
    return Path(unquote(urlparse(uri).path)) if uri.startswith("file://") else Path(uri)


def finite(value: Any) -> Any:
    """Return the value with NaN and infinities as None, which JSON can say."""
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def collect(run_dir: Path) -> Findings:
    """Read `run.json` and the artifacts it points to.

    Args:
        run_dir: the run's folder.

    Raises:
        OSError, ValueError: `run.json` itself cannot be read.
    """
    run = finite(json.loads((run_dir / "run.json").read_text(encoding="utf-8")))
    if not isinstance(run, dict):
        raise ValueError(f"{run_dir / 'run.json'} does not hold an object")
    found = Findings({"run": run}, root=run_dir.resolve().parents[1])
    found.data["verdict"] = run.get("verdict") or _json(found, "verdict", "Evaluator", "evaluation", "verdict.json")
    found.data["metrics"] = _json(found, "metrics", "Evaluator", "evaluation", "metrics.json")
    found.data["history"] = _json(found, "history", "Trainer", "model_run", "history.json")
    for part, name, key in (
        ("ingest", "ExampleGen", "examples"),
        ("cleaning", "Cleaner", "examples"),
        ("anomalies", "ExampleValidator", "anomalies"),
        ("transform", "Transform", "transform_graph"),
        ("balancing", "Balancer", "examples"),
        ("tuning", "Tuner", "tuner_results"),
        ("push", "Pusher", "pushed_model"),
    ):
        found.data[part] = found.node(name).get("summary") or _json(found, part, name, key, "summary.json")
    _guarded(found, "statistics", lambda: _statistics(found))
    _guarded(found, "predictions", lambda: _predictions(found))
    return found


def _json(found: Findings, part: str, name: str, key: str, file: str) -> Json | None:
    folder = found.output(name, key)
    if folder is None:
        return None
    try:
        value = finite(json.loads((folder / file).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        found.problems[part] = f"{file} could not be read: {_reason(error)}"
        return None
    if not isinstance(value, dict):
        found.problems[part] = f"{file} does not hold an object"
        return None
    return value


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _guarded(found: Findings, part: str, read: Any) -> None:
    found.data[part] = None
    try:
        found.data[part] = finite(read())
    except Exception as error:  # whatever is wrong with one artifact, the page says so and shows the rest
        found.problems[part] = f"{type(error).__name__}: {_reason(error)}"


def _statistics(found: Findings) -> Json | None:
    folder = found.output("StatisticsGen", "statistics")
    return None if folder is None else statistics.read(folder)


def _predictions(found: Findings) -> Json | None:
    folder = found.output("Evaluator", "evaluation")
    if folder is None:
        return None
    task = str((found.data["metrics"] or {}).get("task") or (found.data["run"].get("spec") or {}).get("task"))
    table = predictions.read(folder / "predictions.parquet", task)
    found.arrays.update(table.arrays)
    return table.summary
