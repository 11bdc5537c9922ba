"""What runs in the step Transform."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tfx import types
from tfx.components.transform import executor as stock
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components.engine import progress
from components.engine.choice import bytes_in_folder, choose_engine
from components.engine.config import EngineConfig
from components.engine.examples import split_directory
from components.errors import ComponentError, SluiceError, causes
from components.expression import Expression
from components.transform.arrow_analysis import UnsupportedAnalysisError
from components.transform.arrow_engine import Places, RawTensors, batch_rows, transform
from components.transform.checks import RowCheck, check_labels
from components.transform.config import TransformConfig
from components.transform.preprocessing_fn import preprocessing_fn
from components.transform.summary import write_summary

LOG = logging.getLogger(__name__)


class Executor(stock.Executor):
    """Learns the transform graph from the train split and writes the transformed examples of every split.

    In process while the data fit, else through TFX's own executor on Beam; both trace the same function, and run TFT's
    own combiners.
    """

    def Do(  # noqa: N802 - TFX's name
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        custom_config = json.loads(exec_properties["custom_config"])
        config, runtime = json.loads(custom_config["config"]), json.loads(custom_config["runtime"])
        engine = EngineConfig.model_validate(runtime.get("engine", {}))
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        splits = artifact_utils.decode_split_names(examples.split_names)
        size = max(bytes_in_folder(split_directory(examples.uri, split)) for split in splits)
        rows = None
        with _explained(), _quiet_tft():
            if choose_engine(engine, size) == "arrow":
                rows = self._transform_here(input_dict, output_dict, config, runtime)
            if rows is None:
                progress.report(runtime, "Transform", "transforming on Beam")
                given: list[str] = getattr(self, "_beam_pipeline_args", None) or list(engine.beam_pipeline_args)
                self._beam_pipeline_args = given
                super().Do(input_dict, output_dict, exec_properties)
                check_labels(artifact_utils.get_single_uri(output_dict["transformed_examples"]), splits, config)
        graph = artifact_utils.get_single_uri(output_dict["transform_graph"])
        write_summary(graph, TransformConfig.model_validate(config["transform"]), rows)

    def _transform_here(
        self, input_dict: Any, output_dict: Any, config: dict[str, Any], runtime: dict[str, Any]
    ) -> dict[str, int] | None:
        """Return the rows of each split, or None when only Beam can do it."""
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        transformed = artifact_utils.get_single_instance(output_dict["transformed_examples"])
        graph = artifact_utils.get_single_uri(output_dict["transform_graph"])
        schema = io_utils.SchemaReader().read(
            io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(input_dict["schema"]))
        )
        splits = artifact_utils.decode_split_names(examples.split_names)
        function = functools.partial(preprocessing_fn, custom_config={"config": json.dumps(config)})
        check = RowCheck(config)
        try:
            rows = transform(
                function,
                RawTensors(schema, _used_columns(config), batch_rows(config["columns"]["features"])),
                Places(examples.uri, graph, transformed.uri),
                splits,
                lambda text: progress.report(runtime, "Transform", text),
                check.see,
            )
        except UnsupportedAnalysisError as error:
            LOG.warning("In process, Sluice cannot analyse %s; going on with Beam.", error)
            return None
        check.stop()
        transformed.split_names = artifact_utils.encode_split_names(splits)
        return rows


def _used_columns(config: dict[str, Any]) -> list[str]:
    columns = config["columns"]
    weight = {columns["weight"]} if columns["weight"] else set()
    return sorted({*columns["features"], *Expression(columns["label"]["expression"]).columns, *weight})


@contextmanager
def _explained() -> Iterator[None]:
    """Turn whatever a step's `apply` raised, however deep Beam or TensorFlow wrap it, into a ComponentError."""
    try:
        yield
    except SluiceError:
        raise
    except Exception as error:
        for cause in causes(error):
            if isinstance(cause, ComponentError):
                raise cause from error
        raise


@contextmanager
def _quiet_tft() -> Iterator[None]:
    """Keep a warning of TFT about its analyzer cache, which Sluice does not use, out of the log."""

    def is_news(record: logging.LogRecord) -> bool:
        return "cache key varies on repeated tracing" not in record.getMessage()

    logger = logging.getLogger("absl")
    logger.addFilter(is_news)
    try:
        yield
    finally:
        logger.removeFilter(is_news)
