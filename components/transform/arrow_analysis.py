"""Analyse data for the transform graph in this process: TFT's own analysis graph and combiners, without Beam.

TFT turns the preprocessing function into a small graph of operations, which it then translates into a Beam pipeline.
Here a visitor computes the operations directly on the batches of one split. Operations and options that it does not
know are refused with `UnsupportedAnalysisError`, never guessed; the executor then takes Beam.
"""

from __future__ import annotations

import collections
import hashlib
import heapq
import json
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers, annotators, graph_context, impl_helper, nodes
from tensorflow_transform.beam import analysis_graph_builder
from tensorflow_transform.output_wrapper import TFTransformOutput
from tensorflow_transform.tf_metadata import metadata_io

from components.transform.combiners import GroupMedians
from components.transform.phases import Tensors, cut_out, has_tables
from components.transform.saving import save_transform


class UnsupportedAnalysisError(Exception):
    """The preprocessing function uses something of TFT that only Beam computes."""


def analyze(
    preprocessing_fn: Callable[[Tensors], Tensors],
    specs: Mapping[str, tf.TypeSpec],
    batches: Sequence[Tensors],
    folder: Path,
) -> None:
    """Write the transform graph (`transform_fn`, `transformed_metadata`) that TFT's Beam implementation would write.

    Args:
        preprocessing_fn: raw tensors to transformed tensors.
        specs: type of every raw feature of the schema.
        batches: the training rows; they are gone through once per phase of analysis.
        folder: of the TransformGraph artifact.

    Raises:
        UnsupportedAnalysisError: use Beam instead.
    """
    temporary = folder / ".arrow_analysis"
    temporary.mkdir(parents=True)
    try:
        _analyze(preprocessing_fn, specs, batches, folder, temporary)
    finally:
        shutil.rmtree(temporary)


def _analyze(
    preprocessing_fn: Callable[[Tensors], Tensors],
    specs: Mapping[str, tf.TypeSpec],
    batches: Sequence[Tensors],
    folder: Path,
    temporary: Path,
) -> None:
    graph, inputs, outputs = impl_helper.trace_preprocessing_function(preprocessing_fn, specs, False, str(temporary))
    assets = annotators.get_asset_annotations(graph)
    annotators.clear_asset_annotations(graph)
    saved_model, _, side_effects = analysis_graph_builder.build(graph, inputs, outputs, [], None)
    traverser = nodes.Traverser(_Interpreter(preprocessing_fn, specs, inputs, batches, temporary))
    (written,) = traverser.visit_value_node(saved_model)
    for node in side_effects:
        traverser.visit_value_node(node)

    saved, metadata = written
    shutil.move(saved, folder / TFTransformOutput.TRANSFORM_FN_DIR)
    described = folder / TFTransformOutput.TRANSFORMED_METADATA_DIR
    metadata_io.write_metadata(metadata, str(described))
    (described / TFTransformOutput.ASSET_MAP).write_text(json.dumps(assets), encoding="utf-8")


class _Interpreter(nodes.Visitor):
    """Computes one operation at a time; every value is a list, as short as one element."""

    def __init__(
        self,
        preprocessing_fn: Callable[[Tensors], Tensors],
        specs: Mapping[str, tf.TypeSpec],
        inputs: Tensors,
        batches: Sequence[Tensors],
        temporary: Path,
    ) -> None:
        self._preprocessing_fn = preprocessing_fn
        self._specs = specs
        self._inputs = inputs
        self._temporary = temporary
        self._alive: list[Any] = []
        # columns that the data have and nothing reads
        unused = {name: _no_rows(spec) for name, spec in specs.items() if name not in batches[0]}
        self._batches = [{**unused, **batch} for batch in batches]

    def validate_value(self, value: Any) -> None:
        """Check what TFT's traverser hands around."""
        if not isinstance(value, list):
            raise TypeError(f"expected a list, got {value!r}")

    def visit(self, operation: Any, inputs: Any) -> tuple[list[Any], ...]:
        """Compute one operation."""
        compute = _OPERATIONS.get(type(operation).__name__)
        if compute is None:
            raise UnsupportedAnalysisError(f"the operation {type(operation).__name__}")
        result = compute(self, operation, *inputs)
        return result if isinstance(result, tuple) else (result,)

    # Operations of the graph

    def _create_tensor_binding(self, operation: Any, values: list[Any]) -> list[Any]:
        (value,) = values
        return [(operation.tensor_name, operation.dtype_enum, value)]

    def _create_saved_model(self, operation: Any, *bindings: list[Any]) -> list[Any]:
        known = {}
        for ((name, dtype, value),) in bindings:
            known[name] = tf.constant(np.asarray(value), tf.dtypes.as_dtype(dtype))
        signature = operation.output_signature
        if not operation.label.startswith("CreateSavedModelForAnalyzerInputs"):
            return [save_transform(self._preprocessing_fn, self._specs, known, self._temporary)]
        if has_tables(list(signature.values())):
            return [self._traced({key: tensor.name for key, tensor in signature.items()}, known)]
        return [cut_out(self._inputs, signature, known)]

    def _traced(self, outputs: dict[str, str], known: dict[str, tf.Tensor]) -> Callable[[Tensors], Tensors]:
        """Return the function of a phase that looks into a vocabulary of an earlier one."""
        context = graph_context.TFGraphContext(
            module_to_export=tf.Module(), temp_dir=str(self._temporary), evaluated_replacements=known or None
        )
        tracker = annotators.ObjectTracker()
        with annotators.object_tracker_scope(tracker):
            phase = impl_helper.get_traced_transform_fn(
                self._preprocessing_fn, self._specs, context, output_keys_to_name_map=outputs
            )
            phase.get_concrete_function()
        # the function refers to tables and variables weakly
        self._alive.append((context, tracker, phase))
        return lambda batch: dict(phase(batch))

    def _extract_input(self, _operation: Any) -> list[Any]:
        return list(self._batches)

    def _apply_saved_model(
        self, _operation: Any, phases: list[Callable[[Tensors], Tensors]], batches: list[Tensors]
    ) -> list[Any]:
        (phase,) = phases
        return [
            {key: value.numpy() if isinstance(value, tf.Tensor) else value for key, value in phase(batch).items()}
            for batch in batches
        ]

    def _extract_from_dict(self, operation: Any, batches: list[Tensors]) -> list[Any]:
        keys = operation.keys
        return [tuple(batch[key] for key in keys) if isinstance(keys, tuple) else batch[keys] for batch in batches]

    def _flatten(self, _operation: Any, *lists: list[Any]) -> list[Any]:
        return [value for values in lists for value in values]

    # Combiners: sums, means, quantiles

    def _accumulate(self, operation: Any, batches: list[Any]) -> list[Any]:
        return [_accumulated(operation.combiner, batches)]

    def _merge(self, operation: Any, accumulators: list[Any]) -> list[Any]:
        return [operation.combiner.extract_output(operation.combiner.merge_accumulators(accumulators))]

    def _accumulate_packed(self, operation: Any, batches: list[Tensors]) -> list[Any]:
        return [
            {
                packed.label: _accumulated(
                    packed.combiner, [tuple(batch[key] for key in packed.keys) for batch in batches]
                )
                for packed in operation.combiners
            }
        ]

    def _merge_packed(self, operation: Any, keyed: list[Any]) -> list[Any]:
        by_key = collections.defaultdict(list)
        for key, accumulator in keyed:
            by_key[key].append(accumulator)
        merged = {
            packed.label: packed.combiner.extract_output(packed.combiner.merge_accumulators(by_key[packed.keys[0]]))
            for packed in operation.combiners
        }
        return [merged]

    def _add_key(self, operation: Any, values: list[Any]) -> list[Any]:
        return [(operation.key, value) for value in values]

    def _extract_outputs(self, _operation: Any, outputs: list[Any]) -> tuple[list[Any], ...]:
        return tuple([output] for output in outputs[0])

    # Vocabularies, ordered by frequency

    def _count_terms(self, operation: Any, batches: list[Any]) -> list[Any]:
        _only(operation, vocab_ordering_type=analyzers._VocabOrderingType.FREQUENCY, input_dtype=tf.string.name)
        terms = [np.ravel(batch[0] if isinstance(batch, tuple) else batch) for batch in batches]
        counted = pc.value_counts(pa.chunked_array([pa.array(array, pa.binary()) for array in terms], pa.binary()))
        return list(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))

    def _merge_terms(self, operation: Any, counted: list[tuple[bytes, int]]) -> list[Any]:
        _only(operation, vocab_ordering_type=analyzers._VocabOrderingType.FREQUENCY)
        totals: collections.Counter[bytes] = collections.Counter()
        for term, count in counted:
            totals[term] += count
        return [(count, term) for term, count in totals.items()]

    def _prune_terms(self, operation: Any, counted: list[tuple[int, bytes]]) -> list[Any]:
        _only(
            operation,
            input_dtype=tf.string.name,
            informativeness_threshold=float("-inf"),
            coverage_top_k=None,
            coverage_frequency_threshold=0,
            coverage_informativeness_threshold=float("-inf"),
            key_fn=None,
        )
        kept = [pair for pair in counted if pair[0] >= (operation.frequency_threshold or 0)]
        return kept if operation.top_k is None else _or_placeholder(heapq.nlargest(operation.top_k, kept))

    def _write_terms(self, operation: Any, counted: list[tuple[int, bytes]], *more: Any) -> list[Any]:
        _only(operation, store_frequency=False, file_format="text", input_dtype=tf.string.name)
        if more:
            raise UnsupportedAnalysisError("reserved tokens of a vocabulary")
        if operation.fingerprint_shuffle:
            counted = sorted(counted, key=lambda pair: hashlib.sha1(pair[1], usedforsecurity=False).digest())
        elif not operation.input_is_sorted:
            counted = sorted(counted, reverse=True)
        file = self._temporary / operation.vocab_filename
        file.write_bytes(b"".join(term + b"\n" for _, term in _or_placeholder(counted)))
        return [np.array(str(file))]

    def _vocabulary_size(self, _operation: Any, counted: list[Any]) -> list[Any]:
        return [np.int64(max(len(counted), 1))]


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "CreateTensorBinding": _Interpreter._create_tensor_binding,
    "CreateSavedModel": _Interpreter._create_saved_model,
    "ExtractInputForSavedModel": _Interpreter._extract_input,
    "ApplySavedModel": _Interpreter._apply_saved_model,
    "ExtractFromDict": _Interpreter._extract_from_dict,
    "Flatten": _Interpreter._flatten,
    "FlattenLists": _Interpreter._flatten,
    "CacheableCombineAccumulate": _Interpreter._accumulate,
    "CacheableCombineMerge": _Interpreter._merge,
    "PackedCombineAccumulate": _Interpreter._accumulate_packed,
    "PackedCombineMerge": _Interpreter._merge_packed,
    "AddKey": _Interpreter._add_key,
    "ExtractCombineMergeOutputs": _Interpreter._extract_outputs,
    "ExtractPackedCombineMergeOutputs": _Interpreter._extract_outputs,
    "VocabularyAccumulate": _Interpreter._count_terms,
    "VocabularyMerge": _Interpreter._merge_terms,
    "VocabularyPrune": _Interpreter._prune_terms,
    "VocabularyOrderAndWrite": _Interpreter._write_terms,
    "VocabularyCount": _Interpreter._vocabulary_size,
}


def _no_rows(spec: tf.TypeSpec) -> tf.Tensor | tf.SparseTensor:
    shape = [dimension or 0 for dimension in spec.shape]
    if isinstance(spec, tf.SparseTensorSpec):
        indices = tf.zeros([0, len(shape)], tf.int64)
        return tf.SparseTensor(indices, tf.zeros([0], spec.dtype), tf.constant(shape, tf.int64))
    return tf.zeros([0, *shape[1:]], spec.dtype)


def _accumulated(combiner: analyzer_nodes.Combiner, batches: Iterable[Any]) -> Any:
    accumulator = combiner.create_accumulator()
    if isinstance(combiner, GroupMedians):  # grows with the rows: sorted once, and not once per batch
        return combiner.merge_accumulators([accumulator, *(combiner.add_input(accumulator, each) for each in batches)])
    for batch in batches:
        accumulator = combiner.add_input(accumulator, batch)
    return combiner.compact(accumulator)


def _only(operation: Any, **supported: Any) -> None:
    """Raise unless the operation has exactly these values of the options that change its result."""
    for option, value in supported.items():
        if getattr(operation, option) != value:
            raise UnsupportedAnalysisError(f"{type(operation).__name__} with {option}={getattr(operation, option)!r}")


def _or_placeholder(counted: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return the terms, or the one that TFT writes where there is none, since a table may not be empty."""
    return counted or [analyzers.get_empy_vocabulary_dummy_value(tf.string.name)]
