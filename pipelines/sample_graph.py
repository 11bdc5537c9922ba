"""The transform graph learned from a sample, in this process: what `check` and `explain` look into."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import ComponentError
from pipelines.build import pipeline_nodes
from pipelines.spec import LoadedSpec

if TYPE_CHECKING:
    import pyarrow as pa

Function = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class SampleGraph:
    """Learns a graph from rows for training, as the component Transform does, and applies it.

    Args:
        loaded: the spec.
        train: the cleaned rows for training.
        folder: where the graph is written.
        function: raw tensors to outputs; what the spec says when None.

    Raises:
        ComponentError: the rows do not fit the spec, or only Beam can learn this graph.
    """

    def __init__(
        self, loaded: LoadedSpec, train: pa.RecordBatch, folder: Path, function: Function | None = None
    ) -> None:
        from tensorflow_transform.saved.saved_transform_io_v2 import SavedModelLoader

        from components.transform.arrow_analysis import UnsupportedAnalysisError, analyze
        from components.transform.arrow_engine import RawTensors

        self.raw = RawTensors(_schema(loaded, train), loaded.spec.data.used_columns)
        self._loaders = functools.cache(lambda _columns: SavedModelLoader(str(folder / "transform_fn")))
        try:
            analyze(function or spec_function(loaded), self.raw.specs, [self.raw.of(train)], folder)
        except UnsupportedAnalysisError as error:
            raise ComponentError(
                f"In this process, Sluice cannot analyse {error}; `sluice run` does it on Beam.",
                spec_path="transform",
                remedy="Look at the result with `sluice run`, or take that step out for this look.",
            ) from error

    def apply(self, batch: pa.RecordBatch, columns: tuple[str, ...] | None = None) -> dict[str, Any]:
        """Return the outputs for some rows, as numpy arrays.

        Args:
            batch: the rows.
            columns: the raw columns that are given; all when None. What depends on others is left out.
        """
        tensors = self.raw.of(batch)
        given = tensors if columns is None else {name: tensors[name] for name in columns if name in tensors}
        made = self._loaders(tuple(given)).apply_transform_model(given)
        return {name: tensor.numpy() for name, tensor in made.items()}


def transform_config(loaded: LoadedSpec) -> dict[str, Any]:
    """Return the config of the component Transform."""
    return dict(next(node.config for node in pipeline_nodes(loaded) if node.name == "Transform"))


def spec_function(loaded: LoadedSpec) -> Function:
    """Return the preprocessing function of a spec."""
    from components.transform.preprocessing_fn import preprocessing_fn

    return functools.partial(preprocessing_fn, custom_config={"config": json.dumps(transform_config(loaded))})


def _schema(loaded: LoadedSpec, train: pa.RecordBatch) -> Any:
    """Return the curated schema, or the types of the columns, as SchemaGen infers them."""
    import pyarrow as pa
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    curated = loaded.schema_source()
    if curated is not None:
        return text_format.Parse(curated, schema_pb2.Schema())
    schema = schema_pb2.Schema()
    for field in train.schema:
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        if not pa.types.is_null(kind):
            number = schema_pb2.INT if pa.types.is_integer(kind) else schema_pb2.FLOAT
            is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
            schema.feature.add(name=field.name, type=number if is_number else schema_pb2.BYTES)
    return schema
