"""Keep what the steps learned in the graph, and read it back from a saved one, for the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

_PREFIX = "learned"


def keep_learned(chain: str, learned: Mapping[str, tf.Tensor], values: tf.Tensor) -> tf.Tensor:
    """Return `values` such that a saved graph keeps the learned tensors with them, under names of their own.

    Args:
        chain: name of the chain.
        learned: name of the value to a tensor that does not depend on the batch.
        values: what the chain gives to the model.
    """
    kept = [tf.identity(tensor, f"{_PREFIX}/{chain.encode().hex()}/{key}") for key, tensor in learned.items()]
    # without the dependency, TFT would drop tensors that no output needs
    with tf.control_dependencies(kept):
        return tf.identity(values)


def read_learned(transform_graph: str | Path) -> dict[str, dict[str, Any]]:
    """Return the learned numbers of each chain, `{"fare": {"mean": 12.3}}`.

    Args:
        transform_graph: folder of the artifact.
    """
    loaded = tf.saved_model.load(str(Path(transform_graph) / "transform_fn")).transform_fn
    graph = loaded.graph
    found: dict[str, dict[str, Any]] = {}
    fetches: dict[tuple[str, str], str] = {}
    for operation in graph.get_operations():
        prefix, *rest = operation.name.split("/")
        if prefix == _PREFIX and len(rest) == 2:
            fetches[bytes.fromhex(rest[0]).decode(), rest[1]] = operation.outputs[0].name
    feeds = {
        inside.name: outside.numpy()
        for outside, inside in graph.captures
        if outside.dtype not in (tf.resource, tf.variant)
    }
    with tf.compat.v1.Session(graph=graph) as session:
        for (chain, key), value in session.run(fetches, feeds).items():
            found.setdefault(chain, {})[key] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    rounded = np.asarray(value, np.float64)
    return json.loads(json.dumps(rounded.tolist()))
