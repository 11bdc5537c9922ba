"""What Transform tells the screen and the report: each chain's steps, output and learned values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from components.features import ModelInput
from components.transform.config import TransformConfig
from components.transform.learned import read_learned
from components.transform.outputs import model_inputs

TOP_TERMS = 10


def write_summary(graph: str, config: TransformConfig, rows: dict[str, int] | None) -> None:
    """Write `summary.json` into a transform graph.

    Args:
        graph: folder of the TransformGraph artifact.
        config: the chains.
        rows: rows of each split, where they were counted.
    """
    inputs = {each.name: each for each in model_inputs(graph, list(config.chains))}
    learned = read_learned(graph)
    assets = Path(graph, "transform_fn", "assets")
    chains = {}
    for name, steps in config.chains.items():
        chains[name] = {
            "steps": [step.model_dump(mode="json", exclude_none=True) for step in steps],
            "output": _output(inputs[name]),
            "learned": learned.get(name, {}) | _vocabularies(assets, name),
        }
    summary: dict[str, Any] = {"inputs": len(chains), "chains": chains}
    if rows is not None:
        summary = {"rows": rows, **summary}
    Path(graph, "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")


def _output(made: ModelInput) -> dict[str, Any]:
    kind = "ids" if made.is_ids else "number" if made.width == 1 else "vector"
    return {"kind": kind, "width": made.width} | ({"cardinality": made.cardinality} if made.is_ids else {})


def _vocabularies(assets: Path, chain: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    terms = _lines(assets / chain)
    if terms:
        found["vocabulary_size"] = len(terms)
        found["most_frequent"] = terms[:TOP_TERMS]
    return found


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
