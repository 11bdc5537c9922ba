"""The replies about a model that REST and gRPC share, as TF Serving's messages."""

from __future__ import annotations

from typing import Any

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from components.serving.request_error import RequestError
from components.serving.server.model_versions import ModelVersions

_UNKNOWN = 2  # google.rpc.Code


def status_reply(models: ModelVersions, name: str, version: int | None) -> Any:
    """Return a `GetModelStatusResponse`.

    Raises:
        RequestError: unknown model, or no such version (404).
    """
    models.check_name(name)
    found = [status for status in models.statuses() if version in (None, status.version)]
    if not found:
        which = f"version {version}" if version is not None else "any version"
        raise RequestError(f"cannot find {which} of model {name} in {models.base_path}", 404)
    reply = get_model_status_pb2.GetModelStatusResponse()
    for status in found:
        entry = reply.model_version_status.add()
        entry.version = status.version
        entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(status.state)
        entry.status.error_code = _UNKNOWN if status.error else 0
        entry.status.error_message = status.error
    return reply


def metadata_reply(models: ModelVersions, name: str, version: int | None) -> tuple[Any, Any]:
    """Return the `ModelSpec` of the version that answered, and its `SignatureDefMap`."""
    loaded = models.get(name, version)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for signature, definition in loaded.model.signature_defs.items():
        signatures.signature_def[signature].CopyFrom(definition)
    return model_spec(name, loaded.version), signatures


def model_spec(name: str, version: int, signature: str = "") -> Any:
    """Return a `ModelSpec`."""
    spec = model_pb2.ModelSpec(name=name, signature_name=signature)
    spec.version.value = version
    return spec
