"""The component ExampleGen: raw files in, Examples with a train and an eval split out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components.data.config import IngestConfig
from components.data.ingest import SPLITS, ingest, write_summary
from components.engine.wiring import WiredSpec


class Executor(base_executor.BaseExecutor):
    """Reads CSV, Parquet or TFRecord and writes the examples that TFX's own ExampleGens write of them."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        del input_dict
        config = IngestConfig.model_validate(json.loads(exec_properties["config"]))
        runtime = json.loads(exec_properties["runtime"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        target = Path(examples.uri)
        summary = ingest(config, runtime["data_path"], target, runtime)
        write_summary(summary, target)
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        # As TFX's own ExampleGens say it, for components that are not Sluice's.
        examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")
        examples.set_string_custom_property("file_format", "tfrecords_gzip")
        if runtime.get("fingerprint"):
            examples.set_string_custom_property("input_fingerprint", runtime["fingerprint"])
        if summary["spans"]:
            newest = summary["spans"][-1]
            examples.span = newest["span"]
            examples.version = newest["version"] or 0


class ExampleGenSpec(WiredSpec):
    """What ExampleGen takes and gives."""

    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class ExampleGenComponent(base_component.BaseComponent):
    """Reads raw files on Arrow, in bounded memory whatever their size."""

    SPEC_CLASS = ExampleGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def ExampleGen(config: dict[str, Any], runtime: dict[str, Any]) -> ExampleGenComponent:  # noqa: N802 - the node's name
    """Return the TFX component.

    Args:
        config: dump of `IngestConfig`.
        runtime: where and how it runs; `data_path` is the resolved path of the raw data, `span` the newest span to
            read, `fingerprint` that of the files.
    """
    return ExampleGenComponent(spec=ExampleGenSpec.wired(config, runtime))
