"""What a transform graph gives to a model, read back from the artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.errors import ComponentError
from components.features import LABEL, WEIGHT, ModelInput, Task, out_of_fold_name

LABEL_VOCABULARY = "label_vocabulary"
"""Name of the vocabulary file of class names, most frequent class first."""


NO_LABEL = -1
"""Transformed label of a row whose label cannot be computed, in classification; NaN in regression."""


def model_inputs(transform_graph: str | Path, chains: Sequence[str] | None = None) -> list[ModelInput]:
    """Return what the model receives, one input per chain.

    Args:
        transform_graph: folder of the TransformGraph artifact.
        chains: names of the chains, in the order to return them in; None returns all, in the order of the spec.

    Raises:
        ComponentError: the graph does not have one of the chains.
    """
    from tensorflow_transform.tf_metadata import metadata_io

    schema = metadata_io.read_metadata(str(Path(transform_graph) / "transformed_metadata")).schema
    features = {feature.name: feature for feature in schema.feature}
    names = _chains(transform_graph, features) if chains is None else chains
    missing = [name for name in names if name not in features]
    if missing:
        raise ComponentError(
            f"The transform graph has no {', '.join(missing)}; it has {', '.join(sorted(features))}.",
            spec_path="transform",
            remedy="Run the pipeline again from Transform.",
        )
    return [_input(features[name]) for name in names]


def training_inputs(transform_graph: str | Path) -> list[ModelInput]:
    """Return what the model receives, each from the column that training reads it from: see `out_of_fold_name`.

    Args:
        transform_graph: folder of the TransformGraph artifact.
    """
    from tensorflow_transform.tf_metadata import metadata_io

    schema = metadata_io.read_metadata(str(Path(transform_graph) / "transformed_metadata")).schema
    written = {feature.name for feature in schema.feature}
    named = [(each, out_of_fold_name(each.name)) for each in model_inputs(transform_graph)]
    return [replace(each, stored_as=name) if name in written else each for each, name in named]


def num_classes(transform_graph: str | Path, task: Task) -> int:
    """Return how many classes the label has: 2 for a binary task, 1 for regression."""
    if task == "binary_classification":
        return 2
    if task == "regression":
        return 1
    return len(label_vocabulary(transform_graph) or ())


def label_vocabulary(transform_graph: str | Path) -> list[str] | None:
    """Return the names of the classes by their id, or None when the label is not a class among several."""
    import tensorflow_transform as tft

    output = tft.TFTransformOutput(str(transform_graph))
    if output.vocabulary_file_by_name(LABEL_VOCABULARY) is None:
        return None
    return [name.decode("utf-8", "replace") for name in output.vocabulary_by_name(LABEL_VOCABULARY)]


def _chains(transform_graph: str | Path, features: Mapping[str, Any]) -> list[str]:
    """Return the names of the chains; a graph that another program wrote does not say which outputs those are."""
    summary = Path(transform_graph) / "summary.json"
    if summary.is_file():
        return list(json.loads(summary.read_text(encoding="utf-8"))["chains"])
    instead = {out_of_fold_name(name) for name in features}
    return sorted(set(features) - {LABEL, WEIGHT} - instead)


def _input(feature: Any) -> ModelInput:
    from tensorflow_metadata.proto.v0 import schema_pb2

    shape = tuple(int(dim.size) for dim in feature.shape.dim) or (1,)
    if feature.type == schema_pb2.INT:
        return ModelInput(feature.name, "int64", shape, feature.int_domain.max + 1)
    return ModelInput(feature.name, "float32", shape)
