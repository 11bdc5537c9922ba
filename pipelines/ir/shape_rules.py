"""Rules on a compiled pipeline as a whole: that it parses, how things are named, that it fits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from components.errors import Problem
from pipelines.ir.document import Document, input_definitions, output_definitions

SCHEMA_VERSION = "2.1.0"
ARGO_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
LONGEST_ARGO_NAME = 128
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LONGEST_DNS_LABEL = 63
OWN_TEMPLATES = re.compile(r"root|entrypoint|exit-hook-.*|system-.*|retry-system-.*|metadata-.*|.*-iterator")
LARGEST_WORKFLOW = 1_000_000

_COMPILER = "This is a fault of Sluice's compiler: please report it with the spec."


def it_is_no_pipeline_job(document: Document) -> Iterator[Problem]:
    """The API server wants a bare `PipelineSpec`; TFX's JSON output wraps it in a `PipelineJob`."""
    if "pipelineSpec" in document.pipeline:
        remedy = "Upload the value of `pipelineSpec` alone."
        yield Problem("pipelineSpec", "a PipelineJob around the pipeline spec", "a bare PipelineSpec", remedy)


def both_documents_parse(document: Document) -> Iterator[Problem]:
    """The API server parses protojson strictly, and an unknown field is an error.

    The executors are a `Struct` in both documents, so parsing the documents does not look into them: the compiler and
    the driver parse them later, just as strictly, when the run has already begun.
    """
    from google.protobuf import json_format
    from kfp.kubernetes import kubernetes_executor_config_pb2 as kubernetes
    from kfp.pipeline_spec import pipeline_spec_pb2 as ir

    parts: list[tuple[str, Any, Any]] = [
        ("pipeline spec", document.pipeline, ir.PipelineSpec()),
        ("deploymentSpec", document.pipeline.get("deploymentSpec", {}), ir.PipelineDeploymentConfig()),
        ("platform spec", document.platform, ir.PlatformSpec()),
    ]
    for label, config in document.executor_configs.items():
        where = f"platforms.kubernetes.deploymentSpec.executors.{label}"
        parts.append((where, config, kubernetes.KubernetesExecutorConfig()))
    for where, part, message in parts:
        try:
            json_format.ParseDict(part, message)
        except json_format.ParseError as error:
            yield Problem(where, str(error), f"a {message.DESCRIPTOR.name}", _COMPILER)


def the_schema_version_is_the_one_that_is_read(document: Document) -> Iterator[Problem]:
    """The API server says "KFP only supports schema version 2.1.0"; TFX writes 2.0.0 unless it is told not to."""
    version = document.pipeline.get("schemaVersion")
    if version != SCHEMA_VERSION:
        yield Problem("schemaVersion", repr(version), repr(SCHEMA_VERSION), "Compile it for that version.")


def the_pipeline_has_a_dns_name(document: Document) -> Iterator[Problem]:
    """The name becomes the beginning of the Argo workflow's, which Kubernetes wants as a DNS name.

    The API server's own check is not anchored (`[a-z0-9]...` anywhere will do), so it lets bad names pass.
    """
    name = document.pipeline.get("pipelineInfo", {}).get("name", "")
    if not DNS_LABEL.fullmatch(name) or len(name) > LONGEST_DNS_LABEL:
        expected = f"at most {LONGEST_DNS_LABEL} of a-z, 0-9 and dashes, a letter or digit at both ends"
        yield Problem("pipelineInfo.name", repr(name), expected, "Give the pipeline another name in the spec.")


def every_dag_has_a_task_that_is_no_exit_handler(document: Document) -> Iterator[Problem]:
    """A DAG of exit handlers alone does not compile; a pipeline without tasks has no root DAG."""
    if "dag" not in document.pipeline.get("root", {}):
        yield Problem("root", "no dag", "the tasks of the pipeline", _COMPILER)
    for dag in document.dags():
        if not any(not call.is_exit for call in document.calls() if call.dag.where == dag.where):
            yield Problem(dag.where, "no task beside exit handlers", "one or more non-exit tasks", _COMPILER)


def names_are_names_in_argo(document: Document) -> Iterator[Problem]:
    """Task names become Argo task names, names of groups Argo template names; nothing is sanitised.

    Argo allows `[a-zA-Z0-9][-a-zA-Z0-9]*` up to 128, and no digit first where there are dependencies. Each task gets a
    second one for its driver, `TASK-driver`, and an exit handler a template `exit-hook-DAG-TASK`.
    """
    allowed = "letters, digits and dashes, a letter first"
    for call in document.calls():
        longest = f"exit-hook-{call.dag.name}-{call.name}" if call.is_exit else f"{call.name}-driver"
        if not ARGO_NAME.fullmatch(call.name) or len(longest) > LONGEST_ARGO_NAME:
            yield Problem(call.where, repr(call.name), f"{allowed}, so that {longest!r} has at most 128", _COMPILER)
        if f"{call.name}-driver" in call.dag.tasks:
            taken = f"a task {call.name}-driver beside it"
            yield Problem(call.where, taken, "that name left to the task's own driver", _COMPILER)
    for name in document.components:
        if not ARGO_NAME.fullmatch(name) or len(name) > LONGEST_ARGO_NAME or OWN_TEMPLATES.fullmatch(name):
            expected = f"{allowed}, at most 128, and no name of the backend's own templates"
            yield Problem(f"components.{name}", repr(name), expected, _COMPILER)


def tasks_know_their_own_name(document: Document) -> Iterator[Problem]:
    """The driver looks a producer up by `taskInfo.name`, and puts outputs into a folder of that name.

    The rest of the IR speaks of the key in `tasks`, so a differing name ends as "producer task not in tasks".
    """
    for call in document.calls():
        name = call.task.get("taskInfo", {}).get("name")
        if name != call.name:
            yield Problem(f"{call.where}.taskInfo.name", repr(name), repr(call.name), _COMPILER)


def components_run_an_executor_or_tasks(document: Document) -> Iterator[Problem]:
    """A task names a component, and a component either an executor that exists or a DAG."""
    for call in document.calls():
        if not call.component:
            received = repr(call.component_name)
            yield Problem(f"{call.where}.componentRef.name", received, "a component of the pipeline", _COMPILER)
    for name, component in document.components.items():
        label = component.get("executorLabel")
        if "dag" not in component and label not in document.executors:
            expected = "an executor of deploymentSpec, or a dag"
            yield Problem(f"components.{name}.executorLabel", repr(label), expected, _COMPILER)


def artifacts_have_a_type(document: Document) -> Iterator[Problem]:
    """The launcher ends the step when an output's type has neither a schema title nor a schema with a title."""
    for name, component in {**document.components, "root": document.pipeline.get("root", {})}.items():
        for side, definitions in (("input", input_definitions), ("output", output_definitions)):
            for key, artifact in definitions(component, "artifacts").items():
                kind = artifact.get("artifactType", {})
                if not kind.get("schemaTitle") and "title:" not in kind.get("instanceSchema", ""):
                    where = f"components.{name}.{side}Definitions.artifacts.{key}.artifactType"
                    yield Problem(where, json.dumps(kind), "a schemaTitle such as system.Artifact", _COMPILER)


def the_workflow_fits_into_etcd(document: Document) -> Iterator[Problem]:
    """Etcd refuses objects over 1.5 MiB, and the status of the run has to fit beside the workflow.

    The workflow holds each task's JSON once, and each component, container and executor config once.
    """
    parts: list[Mapping[str, Any]] = [call.task for call in document.calls()]
    parts += [document.components, document.executors, document.executor_configs, document.pipeline.get("root", {})]
    # each part is a string in the workflow's JSON, so its quotes are escaped
    size = sum(len(json.dumps(json.dumps(part)).encode()) for part in parts)
    if size > LARGEST_WORKFLOW:
        remedy = "Make the spec smaller: long lists of values belong into a file in the image or in the bucket."
        yield Problem("pipeline spec", f"{size:,} bytes", f"at most {LARGEST_WORKFLOW:,}", remedy)
