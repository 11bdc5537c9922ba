"""TF Serving's gRPC interface: PredictionService (Predict, GetModelMetadata) and ModelService (GetModelStatus)."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from components.serving.request_error import RequestError
from components.serving.saved_model import Signature, unknown_input
from components.serving.server.model_versions import ModelVersions
from components.serving.server.replies import metadata_reply, model_spec, status_reply

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
logger = logging.getLogger(__name__)


def _answering(method: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a RequestError into the status that gRPC has for it."""

    @functools.wraps(method)
    def answer(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(self, request, context)
        except RequestError as error:
            return context.abort(_CODES.get(error.status, grpc.StatusCode.INTERNAL), error.message)

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predictions, and what the model takes."""

    def __init__(self, models: ModelVersions) -> None:
        self._models = models

    @_answering
    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002 (gRPC's names)
        spec = request.model_spec
        loaded = self._models.get(spec.name, _version(spec))
        signature = loaded.model.signature(spec.signature_name)
        inputs = {name: _array(proto, name, signature) for name, proto in request.inputs.items()}
        outputs = loaded.model.predict(signature, inputs)
        if unknown := set(request.output_filter) - set(outputs):
            raise RequestError(f"output {', '.join(sorted(unknown))} is unknown; known: {', '.join(sorted(outputs))}")
        reply = predict_pb2.PredictResponse(model_spec=model_spec(spec.name, loaded.version, signature.name))
        for name in request.output_filter or outputs:
            reply.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return reply

    @_answering
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002
        if list(request.metadata_field) != ["signature_def"]:
            raise RequestError(f'metadata_field: got {list(request.metadata_field)}, expected ["signature_def"]')
        spec, signatures = metadata_reply(self._models, request.model_spec.name, _version(request.model_spec))
        reply = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
        reply.metadata["signature_def"].Pack(signatures)
        return reply


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Which versions there are."""

    def __init__(self, models: ModelVersions) -> None:
        self._models = models

    @_answering
    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802, ARG002
        return status_reply(self._models, request.model_spec.name, _version(request.model_spec))


def rpc_server(models: ModelVersions, threads: int, max_request_bytes: int) -> grpc.Server:
    """Return the server, not yet bound to a port."""
    options = [
        ("grpc.so_reuseport", 0),  # else a second server would share the port in silence
        ("grpc.max_receive_message_length", max_request_bytes),
        ("grpc.max_send_message_length", -1),
    ]
    server = grpc.server(ThreadPoolExecutor(threads, thread_name_prefix="grpc"), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(models), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(models), server)
    return server


def _version(spec: Any) -> int | None:
    if spec.WhichOneof("version_choice") == "version_label":
        raise RequestError(f'version label "{spec.version_label}": labels are not offered; give the version number')
    return spec.version.value if spec.HasField("version") else None


def _array(proto: Any, name: str, signature: Signature) -> np.ndarray:
    if name not in signature.inputs:
        raise RequestError(unknown_input(name, signature))
    expected = signature.inputs[name]
    received = "an unknown type"
    with contextlib.suppress(TypeError):
        received = tf.as_dtype(proto.dtype).name
    if received != str(expected):
        raise RequestError(f'input "{name}": got {received}, expected {expected}')
    try:
        return np.asarray(tf.make_ndarray(proto))
    except (TypeError, ValueError) as error:
        raise RequestError(f'input "{name}": not a tensor: {error}') from error
