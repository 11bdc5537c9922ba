"""One run on the server: started once however often the network fails, looked at, ended."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from components.errors import Problem
from pipelines.kubeflow.client import KubeflowClient
from pipelines.kubeflow.refusals import ApiError
from pipelines.kubeflow.upload import Server, Version

LOOKS_AFTER_DOUBT = 3
"""How often a run is looked for when the answer to its start was lost."""


@dataclass(frozen=True)
class Started:
    """A run that the server has.

    Args:
        run_id: the server's id.
        name: that people see.
    """

    run_id: str
    name: str


def new_name(pipeline: str) -> str:
    """Return a name that no other run has, since it is how a run is found whose start was not confirmed."""
    return f"{pipeline} {datetime.now(UTC):%Y-%m-%d %H:%M:%S} {secrets.token_hex(4)}"


def start(server: Server, version: Version, parameters: Mapping[str, Any], name: str) -> Started:
    """Start a run, exactly once.

    A request whose answer is lost is never sent again: the server may have carried it out. The run is looked for by
    its name instead.

    Raises:
        ApiError: the server refuses, or it is not known whether the run was started.
    """
    import kfp_server_api

    settings = server.client.settings
    body = kfp_server_api.V2beta1Run(
        display_name=name,
        experiment_id=server.experiment_id,
        pipeline_version_reference=kfp_server_api.V2beta1PipelineVersionReference(
            pipeline_id=version.pipeline_id, pipeline_version_id=version.version_id
        ),
        runtime_config=kfp_server_api.V2beta1RuntimeConfig(
            parameters=dict(parameters), pipeline_root=settings.pipeline_root
        ),
        service_account=settings.service_account,
    )
    try:
        if run_id := server.client.post("/runs", body).get("run_id"):
            return Started(run_id, name)
        doubt = None
    except ApiError as error:
        if error.nothing_happened:
            raise
        doubt = error
    return _find_after_doubt(server, name, doubt)


def _find_after_doubt(server: Server, name: str, doubt: ApiError | None) -> Started:
    client = server.client
    query = {"experiment_id": server.experiment_id, **server.in_namespace}
    unseen: ApiError | None = None
    for look in range(LOOKS_AFTER_DOUBT):
        client.sleep(client.settings.backoff_seconds * 2**look)
        try:
            if found := client.named("/runs", "runs", name, query):
                return Started(found[0]["run_id"], name)
            unseen = None
        except ApiError as error:
            unseen = error
    reason = doubt.problem.received if doubt else "the answer to the start named no run"
    if unseen:
        expected, remedy = (
            "to learn whether the run was started",
            f"When the server is back, look for the run {name!r}.",
        )
    else:
        expected = "a started run"
        remedy = f"There is no run {name!r} now. Look once more before you start again: the server may have been slow."
    raise ApiError("cut", Problem("kubeflow", reason, expected, remedy)) from doubt or unseen


def look(client: KubeflowClient, run_id: str) -> dict[str, Any]:
    """Return a run as the server sees it now, with its tasks.

    Servers up to 2.17 list the tasks always, later ones when the whole view is asked for.
    """
    return client.get(f"/runs/{run_id}", {"view": "FULL"})


def terminate(client: KubeflowClient, run_id: str) -> None:
    """End a run; nothing happens when it has ended."""
    client.post(f"/runs/{run_id}:terminate", harmless=True)
