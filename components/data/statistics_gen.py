"""The component StatisticsGen: TFDV's statistics of each split, in process while the split fits, else TFX's own way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators import top_k_uniques_sketch_stats_generator as sketches
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx import types
from tfx.components.statistics_gen import executor as stock
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts

from components.data.top_values import TopValuesGenerator
from components.engine import progress
from components.engine.beam_executor import BeamExecutor
from components.engine.choice import bytes_in_folder, choose_engine
from components.engine.config import EngineConfig
from components.engine.examples import read_batches, split_directory, to_list_columns
from components.engine.wiring import WiredSpec

BATCH_ROWS = 32_768
"""Rows per batch: with fewer TFDV's cost per batch shows, with more the parser's columns leave the cache."""

BATCH_IMAGES = 256
"""The same where a row holds an image."""


def stats_options(images: Sequence[str] = ()) -> tfdv.StatsOptions:
    """Return what TFDV is asked for: of images how large their files are, not which ones are frequent."""
    if not images:
        return tfdv.StatsOptions()
    schema = schema_pb2.Schema()
    for name in images:
        schema.feature.add(name=name, type=schema_pb2.BYTES, image_domain=schema_pb2.ImageDomain())
    return tfdv.StatsOptions(schema=schema)


def split_statistics(
    batches: Iterable[pa.RecordBatch], images: Sequence[str] = ()
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Return what TFDV's Beam pipeline would, computed by the same generators.

    Args:
        batches: flat columns, as `decode_examples` gives them; they are read once.
        images: the columns that hold image files.
    """
    options = stats_options(images)
    estimates = sketches.TopKUniquesSketchStatsGenerator
    generators = [
        TopValuesGenerator(options, images) if isinstance(generator, estimates) else generator
        for generator in stats_impl.get_generators(options, in_memory=True)
    ]
    states = [generator.create_accumulator() for generator in generators]
    for batch in batches:
        columns = to_list_columns(batch.select(sorted(batch.schema.names)))
        states = [generator.add_input(state, columns) for generator, state in zip(generators, states, strict=True)]
    return stats_impl.extract_statistics_output(states, generators)


class Executor(BeamExecutor, stock.Executor):
    """Writes `FeatureStats.pb` for each split."""

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        runtime = json.loads(exec_properties["runtime"])
        engine = EngineConfig.model_validate(runtime.get("engine", {}))
        images = json.loads(exec_properties["config"]).get("images", ())
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        statistics = artifact_utils.get_single_instance(output_dict["statistics"])
        splits = artifact_utils.decode_split_names(examples.split_names)
        size = max(bytes_in_folder(split_directory(examples.uri, split)) for split in splits)
        if choose_engine(engine, size) == "beam":
            progress.report(runtime, "StatisticsGen", "computing statistics on Beam")
            self._beam_pipeline_args = self._beam_pipeline_args or list(engine.beam_pipeline_args)
            options = {"stats_options_json": stats_options(images).to_json()} if images else {}
            super().Do(input_dict, output_dict, options)
        else:
            statistics.split_names = examples.split_names
            statistics.span = examples.span
            for split in splits:
                progress.report(runtime, "StatisticsGen", f"reading {split}")
                rows = BATCH_IMAGES if images else BATCH_ROWS
                batches = read_batches(split_directory(examples.uri, split), None, rows)
                _write(split_statistics(batches, images), statistics, split)
        _write_summary(statistics, splits)


class StatisticsGenSpec(WiredSpec):
    """What StatisticsGen takes and gives."""

    INPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics)}


class StatisticsGenComponent(base_beam_component.BaseBeamComponent):
    """Computes the statistics of Examples, on Arrow in process or on Beam."""

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)


def StatisticsGen(  # noqa: N802 - named as the node is
    config: dict[str, Any], runtime: dict[str, Any], *, examples: types.BaseChannel
) -> StatisticsGenComponent:
    """Return the TFX component.

    Args:
        config: `images`, the columns that hold image files, if there are some.
        runtime: where and how it runs.
        examples: channel of the Examples to describe.
    """
    return StatisticsGenComponent(spec=StatisticsGenSpec.wired(config, runtime, examples=examples))


def _statistics_file(artifact: types.Artifact, split: str) -> Path:
    return Path(artifact_utils.get_split_uri([artifact], split), stock.DEFAULT_FILE_NAME)


def _write(statistics: statistics_pb2.DatasetFeatureStatisticsList, artifact: types.Artifact, split: str) -> None:
    file = _statistics_file(artifact, split)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(statistics.SerializeToString())


def _write_summary(artifact: types.Artifact, splits: list[str]) -> None:
    read = {split: tfdv.load_stats_binary(str(_statistics_file(artifact, split))).datasets[0] for split in splits}
    summary = {
        "examples": {split: statistics.num_examples for split, statistics in read.items()},
        "features": max(len(statistics.features) for statistics in read.values()),
    }
    Path(artifact.uri, "summary.json").write_text(json.dumps(summary, indent=2), encoding="utf-8")
