"""Save the transform graph once everything is known, and describe its outputs, with a single trace."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow_transform import analyzer_nodes, graph_context, impl_helper, schema_inference
from tensorflow_transform.saved import saved_transform_io_v2
from tensorflow_transform.tf_metadata.dataset_metadata import DatasetMetadata

from components.transform.phases import Tensors, constants


def save_transform(
    preprocessing_fn: Callable[[Tensors], Tensors],
    specs: Mapping[str, tf.TypeSpec],
    known: Mapping[str, tf.Tensor],
    parent: Path,
) -> tuple[str, DatasetMetadata]:
    """Return the folder of TFT's SavedModel, made in `parent`, and the metadata of the transformed data.

    Args:
        preprocessing_fn: raw tensors to transformed tensors.
        specs: type of every raw feature of the schema.
        known: results of all analyses, by the name of the tensor that stands for them.
        parent: an existing folder.
    """
    outputs: dict[str, Any] = {}

    def remembering(inputs: Tensors) -> Tensors:
        outputs.clear()
        outputs.update(preprocessing_fn(inputs))
        return dict(outputs)

    module, folder = tf.Module(), str(parent / uuid.uuid4().hex)
    context = graph_context.TFGraphContext(module, str(parent), dict(known) or None)
    function = impl_helper.get_traced_transform_fn(remembering, specs, context)
    saved = saved_transform_io_v2.write_v2_saved_model(module, function, "transform_fn", folder)
    if saved.graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS):
        raise RuntimeError("The steps did not ask for the same analyses when they were traced a second time.")
    schema = schema_inference._infer_feature_schema_common(
        saved.structured_outputs, _ranges(saved.graph, outputs), {}, [], None, is_evaluation_complete=True
    )
    return folder, DatasetMetadata(schema)


def _ranges(graph: Any, outputs: Mapping[str, tf.Tensor]) -> dict[str, tuple[int, int]]:
    """Return smallest and largest id of the outputs that are ids.

    TFT runs the preprocessing function once more for it, since the outputs of a traced function are copies of the
    tensors that carry the ranges; here the originals were remembered.
    """
    names = {tensor.name: name for name, tensor in outputs.items()}
    declared = [
        graph.get_collection(collection)
        for collection in (
            schema_inference._TF_METADATA_TENSOR_COLLECTION,
            schema_inference._TF_METADATA_TENSOR_MIN_COLLECTION,
            schema_inference._TF_METADATA_TENSOR_MAX_COLLECTION,
        )
    ]
    wanted = [each for each in zip(*declared, strict=True) if each[0].name in names]
    bounds = constants([bound for _, low, high in wanted for bound in (low, high)])
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    return {names[tensor.name]: pair for (tensor, *_), pair in zip(wanted, pairs, strict=True)}
