"""What Transform tells the screen and the report: each chain's steps, output and learned values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tensorflow_transform.output_wrapper import TFTransformOutput

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
    output = TFTransformOutput(graph)
    chains = {}
    for name, steps in config.chains.items():
        chains[name] = {
            "steps": [step.model_dump(mode="json", exclude_none=True) for step in steps],
            "output": _output(inputs[name]),
            "learned": learned.get(name, {}) | _vocabulary(output, name),
        }
    width = sum(made.width for made in inputs.values())
    text = f"{_count(len(chains), 'input')}, {_count(width, 'column')} wide"
    summary: dict[str, Any] = {"text": text, "inputs": len(chains), "width": width, "chains": chains}
    if rows is not None:
        summary = {"rows": rows, **summary}
    Path(graph, "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _output(made: ModelInput) -> dict[str, Any]:
    kind = "ids" if made.is_ids else "number" if made.width == 1 else "vector"
    return {"kind": kind, "width": made.width} | ({"cardinality": made.cardinality} if made.is_ids else {})


def _vocabulary(output: TFTransformOutput, chain: str) -> dict[str, Any]:
    if output.vocabulary_file_by_name(chain) is None:
        return {}
    terms = [term.decode("utf-8", "replace") for term in output.vocabulary_by_name(chain)]
    return {"vocabulary_size": len(terms), "most_frequent": terms[:TOP_TERMS]}
