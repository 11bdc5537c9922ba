"""The component ExampleValidator: the data against the schema, and against the data of the last blessed model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx import types
from tfx.components.example_validator import executor as stock
from tfx.components.statistics_gen.stats_artifact_utils import load_statistics
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils, writer_utils

from components.data.anomalies import Anomaly, distances, read_anomalies, with_comparators
from components.data.config import LabelConfig
from components.engine.wiring import WiredSpec
from components.errors import ComponentError
from components.features import FeatureKind

TRAIN, EVAL = "train", "eval"
Statistics: TypeAlias = statistics_pb2.DatasetFeatureStatisticsList


class Executor(base_executor.BaseExecutor):
    """Writes `SchemaDiff.pb` for each split as TFX does, and stops the run when `data.anomalies` says so."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        config = json.loads(exec_properties["config"])
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        output = artifact_utils.get_single_instance(output_dict["anomalies"])
        splits = artifact_utils.decode_split_names(statistics.split_names)
        output.split_names = statistics.split_names
        output.span = statistics.span
        schema_folder = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_folder))
        read = {split: load_statistics(statistics, split).proto() for split in splits}
        baseline = _baseline(input_dict.get("baseline_statistics") or [])
        found = {
            split: _validate(split, read, schema, config, baseline if split == TRAIN else None) for split in splits
        }
        _write(output, found)
        anomalies = [anomaly for split in splits for anomaly in read_anomalies(split, found[split])]
        _write_summary(output.uri, anomalies, found.get(TRAIN))
        if anomalies and config["anomalies"] == "stop":
            raise _stop(anomalies)


def _validate(
    split: str,
    read: dict[str, Statistics],
    schema: schema_pb2.Schema,
    config: dict[str, Any],
    baseline: Statistics | None,
) -> anomalies_pb2.Anomalies:
    """Compare one split with the schema; the train split also with the baseline and with the eval split."""
    if split != TRAIN:
        return tfdv.validate_statistics(read[split], schema)
    compared = {name for name, kind in config["features"].items() if kind != FeatureKind.IMAGE}
    columns = {*compared, *LabelConfig.model_validate(config["label"]).columns}
    thresholds = {
        "drift": config["drift"] if baseline is not None else None,
        "skew": config["skew"] if EVAL in read else None,
    }
    return tfdv.validate_statistics(
        read[split],
        with_comparators(schema, columns, thresholds),
        previous_statistics=baseline,
        serving_statistics=read.get(EVAL),
    )


def _baseline(artifacts: Sequence[types.Artifact]) -> Statistics | None:
    """Return the statistics of the last blessed model's training data; None when there is no such model."""
    for artifact in artifacts:
        file = Path(artifact.uri, f"Split-{TRAIN}", "FeatureStats.pb")
        if file.exists():
            return tfdv.load_stats_binary(str(file))
    return None


def _write(output: types.Artifact, found: dict[str, anomalies_pb2.Anomalies]) -> None:
    blessed = {}
    for split, anomalies in found.items():
        folder = Path(artifact_utils.get_split_uri([output], split))
        folder.mkdir(parents=True, exist_ok=True)
        writer_utils.write_anomalies(str(folder / stock.DEFAULT_FILE_NAME), anomalies)
        clean = not anomalies.anomaly_info and not anomalies.HasField("dataset_anomaly_info")
        blessed[split] = stock.BLESSED_VALUE if clean else stock.NOT_BLESSED_VALUE
    output.set_json_value_custom_property(stock.ARTIFACT_PROPERTY_BLESSED_KEY, blessed)


def _write_summary(uri: str, anomalies: Sequence[Anomaly], train: anomalies_pb2.Anomalies | None) -> None:
    summary = {
        "anomalies": [asdict(anomaly) for anomaly in anomalies],
        "drift": distances(train, "drift") if train else [],
        "skew": distances(train, "skew") if train else [],
    }
    Path(uri, "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")


def _stop(anomalies: Sequence[Anomaly]) -> ComponentError:
    kinds = {anomaly.kind for anomaly in anomalies}
    place = f"data.{kinds.pop()}" if len(kinds) == 1 and kinds <= {"drift", "skew"} else "data.anomalies"
    count = "1 anomaly" if len(anomalies) == 1 else f"{len(anomalies)} anomalies"
    lines = "\n".join(f"  {anomaly}" for anomaly in anomalies)
    return ComponentError(
        f"the data have {count}:\n{lines}\n",
        spec_path=place,
        remedy="To go on in spite of them, set data.anomalies: report.",
    )


class ExampleValidatorSpec(WiredSpec):
    """What ExampleValidator takes and gives."""

    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "baseline_statistics": component_spec.ChannelParameter(
            type=standard_artifacts.ExampleStatistics, optional=True, allow_empty=True
        ),
    }
    OUTPUTS = {"anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


class ExampleValidatorComponent(base_component.BaseComponent):
    """Looks for anomalies, drift and skew."""

    SPEC_CLASS = ExampleValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def ExampleValidator(  # noqa: N802 - named as the node is
    config: dict[str, Any],
    runtime: dict[str, Any],
    *,
    statistics: types.BaseChannel,
    schema: types.BaseChannel,
    baseline_statistics: types.BaseChannel | None = None,
) -> ExampleValidatorComponent:
    """Return the TFX component.

    Args:
        config: `anomalies`, `drift`, `skew`, `features` and `label` of section `data`.
        runtime: where and how it runs.
        statistics: channel of the statistics to validate.
        schema: channel of the schema they must obey.
        baseline_statistics: channel of the statistics of the last blessed model's data; its folder may be empty.
    """
    return ExampleValidatorComponent(
        spec=ExampleValidatorSpec.wired(
            config, runtime, statistics=statistics, schema=schema, baseline_statistics=baseline_statistics
        )
    )
