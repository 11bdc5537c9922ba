"""What the API server refuses: bodies its models do not know, pipelines its protobufs do not, crons it cannot read."""

from __future__ import annotations

import json
from typing import Any

from tests.factories.kubeflow_http import RefusedError

JSON = dict[str, Any]


def checked(body: Any, model: str) -> JSON:
    """Return a request's body after kfp_server_api's model has read it; unknown fields are refused."""
    import kfp_server_api

    kind = getattr(kfp_server_api, model)
    unknown = set(body) - set(kind.attribute_map.values())
    if unknown:
        raise RefusedError(400, f"unknown field {sorted(unknown)}")
    response = type("Response", (), {"data": json.dumps(body)})()
    kfp_server_api.ApiClient().deserialize(response, model)
    return body


def parsed_pipeline(text: str) -> JSON:
    """Return the two documents of an upload, as the API server keeps them, after the protobufs have read them."""
    import yaml
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    documents = list(yaml.safe_load_all(text))
    try:
        json_format.ParseDict(documents[0], pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(documents[1] if len(documents) > 1 else {}, pipeline_spec_pb2.PlatformSpec())
    except json_format.ParseError as error:
        raise RefusedError(400, f"Failed to create a pipeline version: {error}") from error
    if documents[0]["schemaVersion"] != "2.1.0":
        raise RefusedError(400, "KFP only supports schema version 2.1.0")
    return {"pipeline_spec": documents[0], "platform_spec": documents[1] if len(documents) > 1 else {}}


def check_cron(cron: str) -> None:
    """Refuse what robfig/cron 1 refuses: it wants numbers in bounds, and ranges that go up."""
    bounds = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
    fields = cron.split()
    # five fields are taken too, with the weekday missing at the end: the trap that a schedule must not fall into
    if len(fields) not in {5, 6}:
        raise RefusedError(400, "Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron)")
    for text, (low, high) in zip(fields, bounds, strict=False):
        for part in text.split(","):
            ends = [low, high] if part in {"*", "?"} else [int(end) for end in part.partition("/")[0].split("-")]
            if not low <= ends[0] <= ends[-1] <= high:
                raise RefusedError(400, f"Schedule cron is not a supported format: {part}")
