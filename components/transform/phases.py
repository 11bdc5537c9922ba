"""Evaluate a part of the traced preprocessing function on data, as soon as the analyses it needs are known.

TFT traces the function again for every phase of analysis and saves it; here the part is cut out of the first trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import wrap_function

Tensors = Mapping[str, Any]
"""One batch: raw feature to its tensor."""


def has_tables(outputs: Sequence[tf.Tensor]) -> bool:
    """Return whether these tensors of a traced function need a table or variable, made before analysis."""
    graph = outputs[0].graph
    captured = {inside.op.name for _, inside in graph.captures}
    seen: set[str] = set()
    waiting = [tensor.op for tensor in outputs]
    while waiting:
        operation = waiting.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        if operation.name in captured:
            return True
        waiting.extend(tensor.op for tensor in operation.inputs)
        waiting.extend(operation.control_inputs)
    return False


def cut_out(
    inputs: Tensors, outputs: Mapping[str, tf.Tensor], known: Mapping[str, tf.Tensor]
) -> Callable[[Tensors], dict[str, tf.Tensor]]:
    """Return a function from a batch to some tensors of a traced function.

    Args:
        inputs: the traced function's inputs by name.
        outputs: the tensors to compute, without tables (`has_tables`).
        known: results of earlier analyses, by the name of the tensor that stands for them.
    """
    graph = next(iter(outputs.values())).graph
    stand_ins = [graph.get_tensor_by_name(name) for name in known]
    feeds = tf.nest.flatten(dict(inputs), expand_composites=True)
    pruned = _prune(graph, [*feeds, *stand_ins], dict(outputs))

    def compute(batch: Tensors) -> dict[str, tf.Tensor]:
        given = tf.nest.flatten({name: batch[name] for name in inputs}, expand_composites=True)
        return dict(pruned(*given, *known.values()))

    return compute


def constants(tensors: Sequence[tf.Tensor]) -> list[Any]:
    """Return the values of tensors of a traced function that depend on no input."""
    return [value.numpy() for value in _prune(tensors[0].graph, [], list(tensors))()] if tensors else []


def _prune(graph: Any, feeds: list[tf.Tensor], fetches: Any) -> Any:
    holder = wrap_function.VariableHolder(share_variables=True)
    return wrap_function.WrappedFunction(graph, variable_holder=holder).prune(feeds, fetches)
