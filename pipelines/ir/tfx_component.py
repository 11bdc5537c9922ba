"""A TFX component inside a step: KFP's artifacts become TFX's, its executor runs, its properties go back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from ml_metadata.proto import metadata_store_pb2
from tfx.types import artifact_utils, channel, standard_artifacts

from pipelines.ir.executor_input import TFX_PROPERTIES, StepArtifact, StepCall


def run(make: Callable[..., Any], input_types: Mapping[str, str], call: StepCall) -> None:
    """Run the executor of a component.

    Args:
        make: makes the component from a channel per input.
        input_types: input name to the name of its artifact type.
        call: what KFP handed over; its output artifacts get TFX's properties.
    """
    channels = {name: channel.Channel(type=getattr(standard_artifacts, kind)) for name, kind in input_types.items()}
    component = make(**channels)
    # The executor may know an input by another name than the component's function does.
    inputs = {
        key: [_artifact(wired.type, call.inputs[name])]
        for key, wired in component.inputs.items()
        for name, made in channels.items()
        if made is wired
    }
    outputs = {key: [_artifact(wired.type, call.outputs[key])] for key, wired in component.outputs.items()}
    executor = component.executor_spec.executor_class
    context = executor.Context(tmp_dir=str(call.output_file.parent / "tmp"), unique_id="1")
    given = {key: value for key, value in component.exec_properties.items() if value is not None}
    executor(context).Do(inputs, outputs, given)
    for key, (artifact,) in outputs.items():
        call.outputs[key].metadata[TFX_PROPERTIES] = properties_of(artifact)


def _artifact(kind: Any, kept: StepArtifact) -> Any:
    """Return the TFX artifact; its folder exists, since object stores keep no empty ones."""
    kept.path.mkdir(parents=True, exist_ok=True)
    artifact = kind()
    artifact.uri = str(kept.path)
    if text := kept.metadata.get(TFX_PROPERTIES):
        set_properties(artifact, text)
    elif "split_names" in (kind.PROPERTIES or {}):
        splits = sorted(folder.name.removeprefix("Split-") for folder in Path(kept.path).glob("Split-*"))
        artifact.split_names = artifact_utils.encode_split_names(splits)
    return artifact


def set_properties(artifact: Any, text: str) -> None:
    """Give an artifact the properties that `properties_of` returned."""
    stored = json_format.Parse(text, metadata_store_pb2.Artifact())
    for key, value in stored.properties.items():
        artifact.mlmd_artifact.properties[key].CopyFrom(value)
    for key, value in stored.custom_properties.items():
        artifact.mlmd_artifact.custom_properties[key].CopyFrom(value)


def properties_of(artifact: Any) -> str:
    """Return TFX's properties of an artifact as JSON."""
    stored = metadata_store_pb2.Artifact()
    for key, value in artifact.mlmd_artifact.properties.items():
        stored.properties[key].CopyFrom(value)
    for key, value in artifact.mlmd_artifact.custom_properties.items():
        stored.custom_properties[key].CopyFrom(value)
    return json.dumps(json_format.MessageToDict(stored), sort_keys=True)
