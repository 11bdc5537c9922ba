"""Recurring runs on the server: made, listed, switched on and off, removed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.kubeflow.client import KubeflowClient
from pipelines.kubeflow.refusals import ApiError
from pipelines.kubeflow.upload import Server

_MARK = re.compile(r"\bsluice-content:([0-9a-f]{16})\b")


@dataclass(frozen=True)
class Recurring:
    """One recurring run that Sluice made.

    Args:
        recurring_id: the server's id.
        name: of it, which is the pipeline's.
        content: hash of what it does; the same for the same schedule of the same pipeline version.
        cron: six fields, seconds first, in the server's time zone.
        enabled: False when it is paused.
        max_concurrency: runs of it at the same time.
        catch_up: whether slots that were missed are made up for.
        start, end: when it begins and ends, RFC 3339, or None.
        created: when it was made, RFC 3339.
        version_id: of the pipeline version that it runs.
    """

    recurring_id: str
    name: str
    content: str
    cron: str
    enabled: bool
    max_concurrency: int
    catch_up: bool
    start: str | None
    end: str | None
    created: str
    version_id: str


def content_of(body: Any) -> str:
    """Return the hash of what a recurring run does, whatever it is called and whether it is paused.

    Args:
        body: a `V2beta1RecurringRun`.
    """
    told = {key: value for key, value in body.to_dict().items() if key not in {"description", "mode"}}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def mark(content: str) -> str:
    """Return the text that tells a recurring run's content, for its description; the server keeps no labels."""
    return f"sluice-content:{content}"


def create(server: Server, body: Any) -> Recurring:
    """Make a recurring run, exactly once; see `pipelines.kubeflow.runs.start`.

    Args:
        server: where.
        body: a `V2beta1RecurringRun` with its mark in the description.
    """
    content = _MARK.search(body.description)
    before = {each.recurring_id for each in find(server.client, server.namespace, body.display_name)}
    try:
        return _read(server.client.post("/recurringruns", body))
    except (ApiError, KeyError) as error:
        if isinstance(error, ApiError) and error.nothing_happened:
            raise
        server.client.sleep(server.client.settings.backoff_seconds)
        for each in find(server.client, server.namespace, body.display_name):
            if each.recurring_id not in before and content and each.content == content[1]:
                return each
        raise


def find(client: KubeflowClient, namespace: str | None, name: str | None = None) -> list[Recurring]:
    """Return the recurring runs that Sluice made, newest first.

    Args:
        client: the connection.
        namespace: of the user, on a server for several.
        name: only those of this pipeline.
    """
    query = {"namespace": namespace} if namespace else {}
    found = client.named("/recurringruns", "recurringRuns", name, query) if name else _all(client, query)
    return [_read(item) for item in found if _MARK.search(item.get("description") or "")]


def switch(client: KubeflowClient, recurring_id: str, enabled: bool) -> None:
    """Let a recurring run start runs, or not."""
    client.post(f"/recurringruns/{recurring_id}:{'enable' if enabled else 'disable'}", harmless=True)


def remove(client: KubeflowClient, recurring_id: str) -> None:
    """Delete a recurring run; runs that it started go on."""
    client.delete(f"/recurringruns/{recurring_id}")


def _all(client: KubeflowClient, query: dict[str, str]) -> Iterator[dict[str, Any]]:
    yield from client.pages("/recurringruns", "recurringRuns", {**query, "sort_by": "created_at desc"})


def _read(item: dict[str, Any]) -> Recurring:
    content = _MARK.search(item.get("description") or "")
    schedule = (item.get("trigger") or {}).get("cron_schedule") or {}
    return Recurring(
        recurring_id=item["recurring_run_id"],
        name=item["display_name"],
        content=content[1] if content else "",
        cron=schedule.get("cron", ""),
        enabled=item.get("status", item.get("mode")) in {"ENABLED", "ENABLE"},
        max_concurrency=int(item.get("max_concurrency") or 1),
        catch_up=not item.get("no_catchup", False),
        start=schedule.get("start_time"),
        end=schedule.get("end_time"),
        created=item.get("created_at", ""),
        version_id=(item.get("pipeline_version_reference") or {}).get("pipeline_version_id", ""),
    )
