"""The transform component in this process: analyse the train split, apply the graph to every split, on Arrow."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.output_wrapper import TFTransformOutput
from tensorflow_transform.saved import saved_transform_io_v2
from tensorflow_transform.tf_metadata import metadata_io
from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from components.engine.examples import ExampleWriter, encode_examples, read_batches, split_directory, to_list_columns
from components.errors import ComponentError
from components.features import FeatureKind
from components.transform.arrow_analysis import analyze

BATCH_ROWS = 32_768
"""Rows per batch: the graph is called seldom, and a wide one-hot column of one batch still fits."""

BATCH_IMAGES = 256
"""Rows per batch where a row is an image of any size: 154 MB of 224 x 224 pixels in colour."""

BATCH_TEXTS = 4096
"""Rows per batch where a row is a text: 164 MB of vectors with 10,000 places."""

Values = Mapping[str, np.ndarray]
"""Name of a transformed column to its values, `[rows, width]`."""

OUTPUT_NAME = "transformed_examples"

_ARROW_TYPES = {schema_pb2.INT: pa.int64(), schema_pb2.FLOAT: pa.float32(), schema_pb2.BYTES: pa.binary()}
_TYPE_NAMES = {schema_pb2.INT: "whole numbers", schema_pb2.FLOAT: "numbers", schema_pb2.BYTES: "text"}


def batch_rows(features: Mapping[str, str]) -> int:
    """Return how many rows go through the graph at once, by what the raw features mean."""
    if FeatureKind.IMAGE in features.values():
        return BATCH_IMAGES
    return BATCH_TEXTS if FeatureKind.TEXT in features.values() else BATCH_ROWS


class RawTensors:
    """Turns record batches into the tensors that the transform graph takes.

    Args:
        schema: of the raw data.
        columns: the raw columns that the graph needs; ones that the schema does not have are left out.
        batch_rows: rows that go through the graph at once.
    """

    def __init__(self, schema: schema_pb2.Schema, columns: Sequence[str], batch_rows: int = BATCH_ROWS) -> None:
        self.schema = schema
        self.batch_rows = batch_rows
        self._types = {feature.name: feature.type for feature in schema.feature if feature.type in _ARROW_TYPES}
        self.columns = [name for name in columns if name in self._types]
        fields = [(name, pa.list_(_ARROW_TYPES[kind])) for name, kind in self._types.items()]
        representations = tensor_representation_util.InferTensorRepresentationsFromSchema(schema)
        config = tensor_adapter.TensorAdapterConfig(pa.schema(fields), representations)
        self.specs: Mapping[str, tf.TypeSpec] = tensor_adapter.TensorAdapter(config).OriginalTypeSpecs()
        used = [(name, pa.list_(_ARROW_TYPES[self._types[name]])) for name in self.columns]
        self._schema = pa.schema(used)
        self._adapter = tensor_adapter.TensorAdapter(
            tensor_adapter.TensorAdapterConfig(self._schema, {name: representations[name] for name in self.columns})
        )

    def of(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """Return the tensors of a batch of flat columns.

        Raises:
            ComponentError: a column's type is not the schema's.
        """
        arrays = []
        for name, column in zip(self.columns, to_list_columns(batch.select(self.columns)).columns, strict=True):
            wanted = self._schema.field(name).type
            if pa.types.is_null(column.type):
                # no row of this batch has a value: as many empty lists
                offsets = pa.array(np.zeros(len(column) + 1, np.int32))
                column = pa.ListArray.from_arrays(offsets, pa.array([], wanted.value_type))
            elif (pc.max(pc.list_value_length(column)).as_py() or 0) > 1:
                raise ComponentError(
                    f"Column {name!r} has rows with more than one value.",
                    spec_path=f"data.features.{name}",
                    remedy="Give it one value per row, or leave it out of data.features.",
                )
            elif column.type != wanted:
                raise ComponentError(
                    f"Column {name!r} holds {column.type.value_type}, and the schema says "
                    f"{_TYPE_NAMES[self._types[name]]}.",
                    spec_path="data.schema_file",
                    remedy="Correct the data, or the type in the schema.",
                )
            arrays.append(column)
        ready = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        return dict(self._adapter.ToBatchTensors(ready, produce_eager_tensors=True))


@dataclass(frozen=True)
class Places:
    """Folders of the artifacts: raw examples, transform graph, transformed examples."""

    examples: str
    graph: str
    transformed: str


def transform(
    preprocessing_fn: Callable[..., Any],
    raw: RawTensors,
    places: Places,
    splits: Sequence[str],
    tell: Callable[[str], None],
    watch: Callable[[str, Values], None] = lambda _split, _values: None,
) -> dict[str, int]:
    """Write the transform graph, learned from the split `train`, and the transformed examples of all splits.

    Args:
        preprocessing_fn: raw tensors to transformed tensors.
        raw: makes tensors of record batches.
        places: where to read and write.
        splits: names of the splits; `train` is one of them.
        tell: called with a few words on what begins.
        watch: called with each split's transformed values, `[rows, width]`, as they are written.

    Returns:
        Rows of each split.

    Raises:
        UnsupportedAnalysisError: only Beam can analyse this; nothing was written.
    """
    tell("analysing train")
    train = list(read_batches(split_directory(places.examples, "train"), raw.columns, raw.batch_rows))
    if not train:
        raise ComponentError(
            "The train split has no rows.", spec_path="data.split", remedy="Give more data, or clean less."
        )
    analyze(preprocessing_fn, raw.specs, [raw.of(batch) for batch in train], Path(places.graph))
    raw_metadata = DatasetMetadata(raw.schema)
    metadata_io.write_metadata(raw_metadata, str(Path(places.graph) / TFTransformOutput.RAW_METADATA_DIR))
    loader = saved_transform_io_v2.SavedModelLoader(str(Path(places.graph) / TFTransformOutput.TRANSFORM_FN_DIR))
    loader.finalize(raw.columns, list(loader.structured_outputs))
    rows = {}
    for split in splits:
        tell(f"transforming {split}")
        folder = split_directory(places.examples, split)
        batches = train if split == "train" else read_batches(folder, raw.columns, raw.batch_rows)
        see = functools.partial(watch, split)
        rows[split] = _apply(loader, raw, batches, split_directory(places.transformed, split), see)
    return rows


def _apply(
    loader: Any, raw: RawTensors, batches: Iterable[pa.RecordBatch], folder: str, see: Callable[[Values], None]
) -> int:
    rows = 0
    with ExampleWriter(folder, OUTPUT_NAME) as writer:
        for batch in batches:
            outputs = loader.apply_transform_model(raw.of(batch))
            values = {name: tensor.numpy() for name, tensor in sorted(outputs.items())}
            see(values)
            columns = {name: _to_arrow(column) for name, column in values.items()}
            writer.write(encode_examples(pa.RecordBatch.from_pydict(columns)))
            rows += batch.num_rows
    return rows


def _to_arrow(values: np.ndarray) -> pa.Array:
    """Return `[batch, …]` as a flat column, or as lists where a row has not just one value."""
    rows, width = len(values), math.prod(values.shape[1:])
    flat = pa.array(values.reshape(-1))
    if width == 1:
        return flat
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * width), flat)
