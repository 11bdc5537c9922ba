"""TF Serving's REST interface."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import re
from concurrent.futures import Executor
from typing import Any

from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from components.serving.request_error import RequestError
from components.serving.server.model_versions import ModelVersions
from components.serving.server.predict_json import predict_json
from components.serving.server.replies import metadata_reply, status_reply

_CALL = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d{1,18}))?:(predict|classify|regress)")
_LOOK = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d{1,18}))?(/metadata)?")
logger = logging.getLogger(__name__)


def rest_application(models: ModelVersions, workers: Executor, max_request_bytes: int) -> Starlette:
    """Return the ASGI application.

    Args:
        models: the versions that answer.
        workers: threads that call TensorFlow, so that slow predictions do not hold up other connections.
        max_request_bytes: larger requests are refused with status 413.
    """

    async def answer(request: Request) -> Response:
        try:
            return await _answer(request, models, workers, max_request_bytes)
        except RequestError as error:
            return _json({"error": error.message}, error.status)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            logger.exception("%s %s failed", request.method, request.url.path)
            return _json({"error": "the server failed; its log says why"}, 500)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])])


async def _answer(request: Request, models: ModelVersions, workers: Executor, max_request_bytes: int) -> Response:
    path = request.url.path
    if request.method == "POST" and (call := _CALL.fullmatch(path)):
        name, version, verb = call.groups()
        if verb != "predict":
            raise RequestError(f":{verb} is not offered; use :predict", 501)
        body = await _body(request, max_request_bytes)
        loaded = models.get(name, int(version) if version else None)
        predict = functools.partial(predict_json, loaded.model, body)
        reply = await asyncio.get_running_loop().run_in_executor(workers, predict)
        return Response(reply, media_type="application/json")
    if request.method == "GET" and (look := _LOOK.fullmatch(path)):
        name, version, metadata = look.groups()
        return _look(models, name, int(version) if version else None, bool(metadata))
    raise RequestError(f"Malformed request: {request.method} {path}", 400)


def _look(models: ModelVersions, name: str, version: int | None, metadata: bool) -> Response:
    if metadata:
        return _json(_metadata_json(models, name, version))
    reply = status_reply(models, name, version)
    available = any(status.state == "AVAILABLE" for status in models.statuses() if version in (None, status.version))
    return _json(_as_dict(reply), 200 if available else 503)


def _metadata_json(models: ModelVersions, name: str, version: int | None) -> dict[str, Any]:
    spec, signatures = metadata_reply(models, name, version)
    return {
        "model_spec": {"name": spec.name, "signature_name": "", "version": str(spec.version.value)},
        "metadata": {"signature_def": _as_dict(signatures)},
    }


async def _body(request: Request, limit: int) -> bytes:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> RequestError:
    return RequestError(f"the request is larger than {limit} bytes; send fewer rows at a time", 413)


def _as_dict(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, indent=1), status, media_type="application/json")
