"""Experiment, pipeline and version on the server: found by name, made when they are not there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from components.catalog import nearest
from components.errors import Problem, SpecError
from pipelines.kubeflow.client import KubeflowClient
from pipelines.kubeflow.refusals import ApiError

OLDEST_SERVER = (2, 4)
"""Earlier ones leave `{{$.pipeline_job_uuid}}` in a step's parameters as it stands (kubeflow/pipelines #11599)."""


class Compiled(Protocol):
    """A compiled pipeline, as `pipelines.ir.compile.CompiledPipeline` is one."""

    @property
    def pipeline_spec(self) -> dict[str, Any]:
        """JSON of the IR."""

    def to_yaml(self) -> str:
        """Both documents as KFP takes them, the same text for the same pipeline."""


@dataclass(frozen=True)
class Server:
    """A server that answered, and what is done in its name.

    Args:
        client: the connection.
        namespace: of the user; None on a server for one user.
        experiment_id: that runs are filed under.
    """

    client: KubeflowClient
    namespace: str | None
    experiment_id: str

    @property
    def in_namespace(self) -> dict[str, str]:
        """The query that narrows a list to the namespace."""
        return {"namespace": self.namespace} if self.namespace else {}


@dataclass(frozen=True)
class Version:
    """An immutable version of a pipeline on the server.

    Args:
        pipeline: name of the pipeline.
        pipeline_id, version_id: the server's ids.
        name: `taxi-3f1c09a2b7de`; the end is the hash of the content.
        new: True when it was uploaded just now.
    """

    pipeline: str
    pipeline_id: str
    version_id: str
    name: str
    new: bool


def connect(client: KubeflowClient, experiment: str) -> Server:
    """Reach the server and find the experiment, or make it.

    Raises:
        ApiError: the server cannot be reached or refuses.
        SpecError: it serves several users and no namespace is given.
    """
    import kfp_server_api

    namespace = namespace_of(client)
    name = client.settings.experiment or experiment
    body = kfp_server_api.V2beta1Experiment(display_name=name, namespace=namespace)
    query = {"namespace": namespace} if namespace else {}

    def find() -> str | None:
        found = client.named("/experiments", "experiments", name, query)
        return found[0]["experiment_id"] if found else None

    experiment_id, _ = _find_or_make(find, lambda: client.post("/experiments", body)["experiment_id"])
    return Server(client, namespace, experiment_id)


def namespace_of(client: KubeflowClient) -> str | None:
    """Return the namespace to work in, None on a server for one user; it also shows that the server is there.

    Raises:
        ApiError: the server cannot be reached or refuses.
        SpecError: it serves several users and no namespace is given, or it is too old.
    """
    health = client.get("/healthz")
    _check_version(client.settings.address, str(health.get("tag_name", "")))
    if not health.get("multi_user"):
        return None
    if client.settings.namespace:
        return client.settings.namespace
    received = f"no namespace, and {client.settings.address} serves several users"
    expected, remedy = "the namespace to work in", "Give the Kubernetes namespace of your profile."
    raise SpecError([Problem("--namespace", received, expected, remedy)])


def _check_version(host: str, version: str) -> None:
    """Refuse a server that says it is too old; one that says nothing is believed to be fit."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < OLDEST_SERVER:
        expected = f"version {'.'.join(map(str, OLDEST_SERVER))} or later, which tells steps the run they belong to"
        raise SpecError([Problem("--host", f"{host}, Kubeflow Pipelines {version}", expected, "Upgrade the server.")])


def upload(server: Server, compiled: Compiled) -> Version:
    """Put a compiled pipeline on the server, unless this very content is there already.

    Raises:
        ApiError: the server refuses it.
    """
    import kfp_server_api

    content = compiled.to_yaml()
    pipeline = pipeline_name(compiled)
    client = server.client
    body = kfp_server_api.V2beta1Pipeline(display_name=pipeline, name=pipeline, namespace=server.namespace)

    def find_pipeline() -> str | None:
        found = client.named("/pipelines", "pipelines", pipeline, server.in_namespace)
        return found[0]["pipeline_id"] if found else None

    pipeline_id, _ = _find_or_make(find_pipeline, lambda: client.post("/pipelines", body)["pipeline_id"])
    versions = f"/pipelines/{pipeline_id}/versions"
    name = f"{pipeline}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"

    def find_version() -> str | None:
        found = client.named(versions, "pipeline_versions", name)
        return found[0]["pipeline_version_id"] if found else None

    def upload_version() -> str:
        query = {
            "pipelineid": pipeline_id,
            "name": name,
            "display_name": name,
            "description": f"Compiled by {compiled.pipeline_spec.get('sdkVersion', 'Sluice')}",
        }
        return client.upload("/pipelines/upload_version", content, query)["pipeline_version_id"]

    version_id, new = _find_or_make(find_version, upload_version)
    return Version(pipeline, pipeline_id, version_id, name, new)


def pipeline_name(compiled: Compiled) -> str:
    """Return the name that the pipeline has on the server."""
    return compiled.pipeline_spec["pipelineInfo"]["name"]


def check_parameters(compiled: Compiled, parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that the pipeline does not take; the server would start a run that fails.

    Raises:
        SpecError: with every unknown name.
    """
    known = list(parameter_definitions(compiled))
    problems = []
    for name in parameters:
        if name not in known:
            guess = nearest(name, known)
            remedy = f"Did you mean {guess!r}?" if guess else "Leave it out."
            problems.append(Problem("--parameter", repr(name), f"one of {', '.join(known) or 'none'}", remedy))
    if problems:
        raise SpecError(problems)


def parameter_definitions(compiled: Compiled) -> dict[str, Any]:
    """Return the parameters of a run as the IR defines them."""
    return compiled.pipeline_spec["root"].get("inputDefinitions", {}).get("parameters", {})


def _find_or_make(find: Callable[[], str | None], make: Callable[[], str]) -> tuple[str, bool]:
    """Return an id and whether it is new; looks again when making it ended in doubt or somebody else was faster."""
    if found := find():
        return found, False
    try:
        return make(), True
    except ApiError as error:
        if error.nothing_happened and error.kind != "exists":
            raise
        if found := find():
            return found, error.kind != "exists"
        raise
    except KeyError:
        # the answer was JSON without an id: half an answer that happened to be whole JSON
        if found := find():
            return found, True
        raise
