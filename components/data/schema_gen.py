"""The component SchemaGen: the schema that a person wrote, or else the one that the statistics suggest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.schema_gen import executor as stock
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components.engine.wiring import WiredSpec
from components.errors import ComponentError

SPEC_PATH = "data.schema_file"


def parse_schema(text: str) -> schema_pb2.Schema:
    """Return the schema that a `.pbtxt` file holds.

    Raises:
        ComponentError: it is not one; the message holds the line and what stands there.

    Example:
        >>> parse_schema('feature { name: "fare" type: FLOAT }').feature[0].name
        'fare'
    """
    try:
        schema = text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        line = error.GetLine()
        lines = text.splitlines()
        place = f"line {line}, {lines[line - 1].strip()!r}: " if line and line <= len(lines) else ""
        reason = str(error).split(" : ")[-1].rstrip(".")
        raise ComponentError(
            f"the schema file is not a TFMD schema in text form: {place}{reason}.",
            spec_path=SPEC_PATH,
            remedy="Correct that line, or take data.schema_file out to have the schema inferred.",
        ) from error
    if not schema.feature:
        raise ComponentError(
            "the schema file describes no feature.",
            spec_path=SPEC_PATH,
            remedy='Write one "feature { name: … type: … }" per column, or take data.schema_file out.',
        )
    return schema


class Executor(stock.Executor):
    """Writes `schema.pbtxt`, and nothing else: TFX's readers want it alone in its folder."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        curated = json.loads(exec_properties["config"])["schema"]
        if curated is None:
            # A row may lack any value, so shapes are left open.
            super().Do(input_dict, output_dict, {"infer_feature_shape": 0, "exclude_splits": "[]"})
            return
        parse_schema(curated)
        folder = Path(artifact_utils.get_single_uri(output_dict["schema"]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / stock.DEFAULT_FILE_NAME).write_text(curated, encoding="utf-8")


class SchemaGenSpec(WiredSpec):
    """What SchemaGen takes and gives."""

    INPUTS = {"statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics)}
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class SchemaGenComponent(base_component.BaseComponent):
    """Gives the schema that data must obey."""

    SPEC_CLASS = SchemaGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def SchemaGen(  # noqa: N802 - named as the node is
    config: dict[str, Any], runtime: dict[str, Any], *, statistics: types.BaseChannel
) -> SchemaGenComponent:
    """Return the TFX component.

    Args:
        config: `{"schema": text of the curated schema, or None}`.
        runtime: where and how it runs.
        statistics: channel of the statistics to infer from, train first, then widened by eval.
    """
    return SchemaGenComponent(spec=SchemaGenSpec.wired(config, runtime, statistics=statistics))
