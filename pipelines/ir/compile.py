"""Spec to Kubeflow Pipelines v2: the pipeline spec (IR, schema 2.1) and the Kubernetes platform spec beside it.

TFX's own compiler writes what the open-source backend refuses (resolvers, schema 2.0, drivers that nobody runs), so the
IR is written here, with KFP's protobufs. Reference: kfp.pipeline_spec.pipeline_spec_pb2 and
https://www.kubeflow.org/docs/components/pipelines/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import yaml

from components.errors import SpecError
from pipelines.augmentation_checks import folders_in_containers
from pipelines.ir.graph import INTEGERS, Constant, FromPipeline, FromTask, Group, Source, Task
from pipelines.ir.tasks import pipeline_tasks
from pipelines.resources import StepResources, step_resources
from pipelines.spec import LoadedSpec

SCHEMA_VERSION = "2.1.0"
COMMAND = ("python", "-m", "pipelines.ir.step")


@dataclass(frozen=True)
class Target:
    """What the pipeline is compiled for.

    Args:
        image: of every step.
        parameters: the parameters of a run with their defaults; see `pipelines.ir.tasks.run_parameters`.
        images: node name to an image of its own, such as one with GPU libraries.
    """

    image: str
    parameters: Mapping[str, Any]
    images: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CompiledPipeline:
    """The two documents of a compiled pipeline.

    Args:
        pipeline_spec: JSON of a `PipelineSpec`.
        platform_spec: JSON of a `PlatformSpec`.
    """

    pipeline_spec: dict[str, Any]
    platform_spec: dict[str, Any]

    def to_yaml(self) -> str:
        """Return both documents, the same bytes for the same spec."""
        documents = [self.pipeline_spec, self.platform_spec]
        return yaml.safe_dump_all(documents, sort_keys=True, width=1000, allow_unicode=True)


def compile_pipeline(loaded: LoadedSpec, target: Target) -> CompiledPipeline:
    """Compile a spec.

    Args:
        loaded: the validated spec.
        target: image and parameters.

    Raises:
        SpecError: a resource that is asked for does not fit, or the Trainer would not have a folder that it reads.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    resources = step_resources(loaded)
    if problems := list(folders_in_containers(loaded, resources["Trainer"].config.volumes.values())):
        raise SpecError(problems)
    writer = _Writer(target, resources)
    root = writer.dag(pipeline_tasks(loaded), inside=False)
    spec = {
        "pipelineInfo": {"name": loaded.spec.name.replace("_", "-")},
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": f"sluice-{metadata.version('sluice')}",
        "root": {
            "dag": {"tasks": root.tasks},
            "inputDefinitions": {"parameters": {n: _default(n, v) for n, v in sorted(target.parameters.items())}},
        },
        "components": writer.components,
        "deploymentSpec": {"executors": writer.executors},
    }
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": writer.pods}}}}
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    return CompiledPipeline(spec, platform)


@dataclass
class _Dag:
    """One DAG while it is written.

    Args:
        own: names of its tasks and groups.
        inside: it is a group's; what it does not have itself then comes through the group's inputs.
        tasks: as the IR has them.
        parameters, artifacts: what came from outside, by the name under which its tasks ask for it.
    """

    own: frozenset[str]
    inside: bool
    tasks: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, FromPipeline | FromTask] = field(default_factory=dict)
    artifacts: dict[str, FromTask] = field(default_factory=dict)

    def parameter(self, source: Source) -> dict[str, Any]:
        """Return how a task of this DAG gets a parameter."""
        match source:
            case Constant(value):
                return {"runtimeValue": {"constant": value}}
            case FromTask(task, key) if task in self.own:
                return {"taskOutputParameter": {"producerTask": task, "outputParameterKey": key}}
            case FromPipeline(name) if not self.inside:
                return {"componentInputParameter": name}
        self.parameters[_channel(source)] = source
        return {"componentInputParameter": _channel(source)}

    def artifact(self, source: FromTask) -> dict[str, Any]:
        """Return how a task of this DAG gets an artifact."""
        if source.task in self.own:
            return {"taskOutputArtifact": {"producerTask": source.task, "outputArtifactKey": source.key}}
        self.artifacts[_channel(source)] = source
        return {"componentInputArtifact": _channel(source)}


class _Writer:
    """Collects components, executors and pods while the DAGs are written.

    Args:
        target: what the pipeline is compiled for.
        resources: what each step asks of the cluster, by its node.
    """

    def __init__(self, target: Target, resources: Mapping[str, StepResources]) -> None:
        self.target = target
        self.resources = resources
        self.components: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}
        self.pods: dict[str, Any] = {}
        self.kinds: dict[FromTask, str] = {}

    def dag(self, members: tuple[Task | Group, ...], *, inside: bool) -> _Dag:
        """Write the tasks of one DAG and of the groups in it."""
        written = _Dag(frozenset(member.name for member in members), inside)
        for member in members:
            one = self._group(member, written) if isinstance(member, Group) else self._task(member, written)
            written.tasks[member.name] = one
        return written

    def _group(self, group: Group, dag: _Dag) -> dict[str, Any]:
        inner = self.dag(group.tasks, inside=True)
        parameters: dict[str, Source] = dict(inner.parameters)
        if group.only_if:
            parameters[_channel(group.only_if)] = group.only_if
        self.components[f"comp-{group.name}"] = {
            "dag": {"tasks": inner.tasks},
            "inputDefinitions": self._definitions(parameters, inner.artifacts),
        }
        return _drop_empty({**_reference(group, dag, parameters, inner.artifacts), "triggerPolicy": _condition(group)})

    def _task(self, task: Task, dag: _Dag) -> dict[str, Any]:
        from pipelines.ir import platform

        self.kinds |= {FromTask(task.name, key): kind for key, kind in task.outputs.items()}
        label, step = f"exec-{task.name}", self.resources[task.node]
        self.components[f"comp-{task.name}"] = _drop_empty(
            {
                "executorLabel": label,
                "inputDefinitions": self._definitions(task.parameters, task.artifacts),
                "outputDefinitions": _definitions(dict.fromkeys(task.output_parameters, "STRING"), task.outputs),
            }
        )
        container = {
            "image": self.target.images.get(task.node, self.target.image),
            "command": list(COMMAND),
            "args": ["--node", task.node, *task.arguments, "--executor-input", "{{$}}"],
            "resources": platform.container_resources(step),
            "env": platform.environment(step),
        }
        self.executors[label] = {"container": _drop_empty(container)}
        if pod := platform.executor_config(step):
            self.pods[label] = pod
        reference = {
            **_reference(task, dag, task.parameters, task.artifacts),
            "retryPolicy": platform.retry_policy(step) or {},
        }
        if task.final_status:
            self._make_exit_handler(task, reference)
        # empty options are KFP's word for no caching
        return {**_drop_empty(reference), "cachingOptions": {"enableCache": True} if task.cached else {}}

    def _make_exit_handler(self, task: Task, reference: dict[str, Any]) -> None:
        """Let a task run when its group has ended, whatever came of it, and be told what did."""
        definitions = self.components[f"comp-{task.name}"].setdefault("inputDefinitions", {})
        definitions.setdefault("parameters", {})["status"] = {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}
        inputs = reference["inputs"].setdefault("parameters", {})
        inputs["status"] = {"taskFinalStatus": {"producerTask": task.final_status}}
        reference["dependentTasks"] = sorted({*reference["dependentTasks"], str(task.final_status)})
        reference["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}

    def _definitions(self, parameters: Mapping[str, Source], artifacts: Mapping[str, FromTask]) -> dict[str, Any]:
        return _definitions(
            {name: _parameter_type(name, source) for name, source in parameters.items()},
            {name: self.kinds[source] for name, source in artifacts.items()},
        )


def _reference(
    member: Task | Group, dag: _Dag, parameters: Mapping[str, Source], artifacts: Mapping[str, FromTask]
) -> dict[str, Any]:
    """Write how a DAG calls a component."""
    inputs: dict[str, Any] = {
        "parameters": {name: dag.parameter(source) for name, source in parameters.items()},
        "artifacts": {name: dag.artifact(source) for name, source in artifacts.items()},
    }
    sources = (*parameters.values(), *artifacts.values())
    before = {source.task for source in sources if isinstance(source, FromTask)}
    before |= set(member.after) if isinstance(member, Task) else set()
    return {
        "taskInfo": {"name": member.name},
        "componentRef": {"name": f"comp-{member.name}"},
        "dependentTasks": sorted(before & dag.own),
        "inputs": _drop_empty(inputs),
    }


def _channel(source: FromPipeline | FromTask) -> str:
    """Return the name under which a group's tasks know something of outside; the KFP SDK uses the same names."""
    inner = source.name if isinstance(source, FromPipeline) else f"{source.task}-{source.key}"
    return f"pipelinechannel--{inner}"


def _condition(group: Group) -> dict[str, Any]:
    if group.only_if is None:
        return {}
    return {"condition": f"inputs.parameter_values['{_channel(group.only_if)}'] == 'true'"}


def _parameter_type(name: str, source: Source) -> str:
    known_as = source.name if isinstance(source, FromPipeline) else name
    return "NUMBER_INTEGER" if known_as in INTEGERS else "STRING"


def _definitions(parameters: Mapping[str, str], artifacts: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "parameters": {name: {"parameterType": kind} for name, kind in parameters.items()},
        "artifacts": {
            name: {"artifactType": {"schemaTitle": kind, "schemaVersion": "0.0.1"}} for name, kind in artifacts.items()
        },
    }
    return _drop_empty(found)


def _default(name: str, value: Any) -> dict[str, Any]:
    return {"parameterType": _parameter_type(name, FromPipeline(name)), "defaultValue": value, "isOptional": True}


def _drop_empty(written: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if value not in ({}, [])}
