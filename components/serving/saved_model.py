"""A SavedModel ready to answer: its signatures as plain arrays in and out. Loads TensorFlow, and nothing of TFX."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from components.catalog import nearest
from components.features import SERVING_SIGNATURE
from components.serving.request_error import RequestError
from components.serving.tensors import InputSpec, Kind, check_shape
from components.serving.versions import SAVED_MODEL_FILE


@dataclass(frozen=True)
class Signature:
    """One way to call the model.

    Args:
        name: its name.
        inputs: name to what is expected.
        function: the TensorFlow function.
    """

    name: str
    inputs: dict[str, InputSpec]
    function: Any


class SavedModel:
    """A loaded SavedModel; several threads may call it at once.

    Args:
        folder: the folder that holds `saved_model.pb`.
    """

    def __init__(self, folder: str | Path) -> None:
        self._loaded = tf.saved_model.load(str(folder))  # held, since its functions do not keep its variables alive
        self.signatures = {name: _signature(name, function) for name, function in self._loaded.signatures.items()}
        self.signature_defs = _signature_defs(Path(folder))

    def signature(self, name: str) -> Signature:
        """Return a signature; an empty name means the default one.

        Raises:
            RequestError: the model has no such signature.
        """
        name = name or SERVING_SIGNATURE
        if name not in self.signatures:
            guess = nearest(name, list(self.signatures))
            hint = f'; did you mean "{guess}"?' if guess else ""
            raise RequestError(
                f'signature "{name}" is unknown; the model has {", ".join(sorted(self.signatures))}{hint}'
            )
        return self.signatures[name]

    def predict(self, signature: Signature, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs of one call, string tensors as arrays of bytes.

        Raises:
            RequestError: the inputs do not fit together, or the model cannot work with their values.
        """
        check_inputs(signature, inputs)
        tensors = {name: tf.constant(array, _tf_type(signature.inputs[name])) for name, array in inputs.items()}
        try:
            return {name: tensor.numpy() for name, tensor in sorted(signature.function(**tensors).items())}
        except UnicodeDecodeError as error:  # TensorFlow quotes the bytes that it could not parse
            raise RequestError("the model cannot use this input: it holds bytes that cannot be parsed") from error
        except (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError) as error:
            raise RequestError(f"the model cannot use this input: {first_line(error)}") from error
        except tf.errors.OpError as error:
            raise RequestError(f"the model failed: {first_line(error)}", 500) from error

    def warm_up(self) -> None:
        """Call every signature once with one neutral row, so that the first request does not pay for it."""
        for signature in self.signatures.values():
            row = {name: _neutral(spec) for name, spec in signature.inputs.items()}
            try:
                self.predict(signature, row)
            except RequestError:
                continue  # a neutral row need not be a valid one


def check_inputs(signature: Signature, inputs: Mapping[str, np.ndarray]) -> None:
    """Refuse inputs that are not what the signature takes.

    Raises:
        RequestError: a name is unknown or missing, a shape is wrong, or the numbers of rows differ.
    """
    for name in inputs:
        if name not in signature.inputs:
            raise RequestError(unknown_input(name, signature))
    if lacking := sorted(set(signature.inputs) - set(inputs)):
        raise RequestError(f'signature "{signature.name}" lacks input {", ".join(lacking)}')
    for name, array in inputs.items():
        check_shape(array, signature.inputs[name])
    batched = sorted(name for name, spec in signature.inputs.items() if spec.shape and spec.shape[0] is None)
    rows = {name: inputs[name].shape[0] for name in batched}
    if len(set(rows.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise RequestError(f"all inputs need the same number of rows; got {listed}")


def unknown_input(name: str, signature: Signature) -> str:
    """Return the message for an input that the signature does not have."""
    guess = nearest(name, list(signature.inputs))
    hint = f' Did you mean "{guess}"?' if guess else ""
    known = ", ".join(sorted(signature.inputs))
    return f'input "{name}" is unknown to signature "{signature.name}", which takes {known}.{hint}'


def first_line(error: Exception) -> str:
    """Return the first line of an error's message; TensorFlow's go on with the graph."""
    return (str(getattr(error, "message", None) or error).strip().splitlines() or [type(error).__name__])[0]


def _signature(name: str, function: Any) -> Signature:
    _, inputs = function.structured_input_signature
    return Signature(name, {key: _input_spec(key, spec) for key, spec in inputs.items()}, function)


def _input_spec(name: str, spec: Any) -> InputSpec:
    kind: Kind = "int"
    if spec.dtype == tf.string:
        kind = "string"
    elif spec.dtype == tf.bool:
        kind = "bool"
    elif spec.dtype.is_floating:
        kind = "float"
    dtype = np.dtype(object) if kind == "string" else np.dtype(spec.dtype.as_numpy_dtype)
    return InputSpec(name, kind, dtype, None if spec.shape.rank is None else tuple(spec.shape.as_list()))


def _tf_type(spec: InputSpec) -> tf.DType:
    return tf.string if spec.kind == "string" else tf.as_dtype(spec.dtype)


def _neutral(spec: InputSpec) -> np.ndarray:
    return np.full([size or 1 for size in spec.shape or ()], b"" if spec.kind == "string" else 0, dtype=spec.dtype)


def _signature_defs(folder: Path) -> dict[str, Any]:
    stored = saved_model_pb2.SavedModel.FromString((folder / SAVED_MODEL_FILE).read_bytes())
    graph = next((graph for graph in stored.meta_graphs if "serve" in graph.meta_info_def.tags), stored.meta_graphs[0])
    defs: dict[str, Any] = {}
    for name, definition in graph.signature_def.items():
        defs[name] = type(definition)()
        defs[name].CopyFrom(definition)  # a copy, so that the whole graph is not held in memory for it
    return defs
