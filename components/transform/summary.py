"""What Transform tells the screen and the report: each chain's steps, output and learned values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tensorflow_transform.output_wrapper import TFTransformOutput

from components.errors import ComponentError
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

    Raises:
        ComponentError: what a chain learned cannot be used.
    """
    inputs = {each.name: each for each in model_inputs(graph, list(config.chains))}
    learned = read_learned(graph)
    _refuse_one_fold(learned)
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


MAX_ONE_FOLD = 0.5
"""Share of rows from which on folds are no folds: training would read the overall mean in place of an encoding."""


def _refuse_one_fold(learned: dict[str, dict[str, Any]]) -> None:
    """Refuse an encoding of which training sees nothing, since rows of a category are alike in all features."""
    for name, values in learned.items():
        if (share := values.get("one_fold", 0.0)) > MAX_ONE_FOLD:
            raise ComponentError(
                f"target_encode cannot keep a row's own label out of its training value: {share:.0%} of the rows "
                "share all features with the other rows of their category, so that they are all in one fold.",
                spec_path=f"transform.{name}",
                remedy="Declare a feature that tells rows apart, or use vocabulary or one_hot instead.",
            )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _output(made: ModelInput) -> dict[str, Any]:
    ids = "ids" if made.width == 1 else "sequence"
    kind = ids if made.is_ids else "image" if len(made.shape) == 3 else "number" if made.width == 1 else "vector"
    return {"kind": kind, "width": made.width} | ({"cardinality": made.cardinality} if made.is_ids else {})


def _vocabulary(output: TFTransformOutput, chain: str) -> dict[str, Any]:
    if output.vocabulary_file_by_name(chain) is None:
        return {}
    terms = [term.decode("utf-8", "replace") for term in output.vocabulary_by_name(chain)]
    return {"vocabulary_size": len(terms), "most_frequent": terms[:TOP_TERMS]}
