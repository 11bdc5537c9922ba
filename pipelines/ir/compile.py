"""Spec to Kubeflow Pipelines v2: the pipeline spec (IR, schema 2.1) and the Kubernetes platform spec beside it.

TFX's own compiler writes what the open-source backend refuses (resolvers, schema 2.0, drivers that nobody runs), so the
IR is written here, with KFP's protobufs. Reference: kfp.pipeline_spec.pipeline_spec_pb2 and
https://www.kubeflow.org/docs/components/pipelines/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import yaml

from pipelines.ir.graph import INTEGERS, Constant, FromPipeline, FromTask, Group, Task, flat
from pipelines.ir.tasks import pipeline_tasks
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
        SpecError: a resource that is asked for does not fit.
    """
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2

    members = pipeline_tasks(loaded)
    writer = _Writer(target)
    dag = writer.dag(members, inside=False)
    spec = {
        "pipelineInfo": {"name": loaded.spec.name.replace("_", "-")},
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": f"sluice-{metadata.version('sluice')}",
        "root": {
            "dag": {"tasks": dag.tasks},
            "inputDefinitions": {"parameters": {n: _default(n, v) for n, v in sorted(target.parameters.items())}},
        },
        "components": writer.components,
        "deploymentSpec": {"executors": writer.executors},
    }
    platform = _apply_resources(loaded, writer, spec, flat(members))
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
    return CompiledPipeline(spec, platform)


@dataclass
class _Dag:
    """Tasks as the IR has them, and what they need from outside, by the name under which they ask for it."""

    tasks: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, FromPipeline | FromTask] = field(default_factory=dict)
    artifacts: dict[str, FromTask] = field(default_factory=dict)


class _Writer:
    """Collects components and executors while the DAGs are written."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.components: dict[str, Any] = {}
        self.executors: dict[str, Any] = {}
        self.kinds: dict[FromTask, str] = {}

    def dag(self, members: Iterable[Task | Group], *, inside: bool) -> _Dag:
        """Write the tasks of one DAG; `inside` a group everything from outside comes through the group's inputs."""
        members = tuple(members)
        written = _Dag()
        own = {member.name for member in members}
        for member in members:
            if isinstance(member, Group):
                written.tasks[member.name] = self._group(member, own, written, inside)
            else:
                written.tasks[member.name] = self._task(member, own, written, inside)
        return written

    def _group(self, group: Group, own: set[str], outer: _Dag, inside: bool) -> dict[str, Any]:
        inner = self.dag(group.tasks, inside=True)
        parameters: dict[str, FromPipeline | FromTask] = dict(inner.parameters)
        if group.only_if:
            parameters[_channel(group.only_if)] = group.only_if
        self.components[f"comp-{group.name}"] = _drop_empty(
            {
                "dag": {"tasks": inner.tasks},
                "inputDefinitions": _definitions(
                    {name: self._parameter_type(source) for name, source in parameters.items()},
                    {name: self.kinds[source] for name, source in inner.artifacts.items()},
                ),
            }
        )
        return self._reference(group, own, outer, inside, parameters, inner.artifacts)

    def _task(self, task: Task, own: set[str], outer: _Dag, inside: bool) -> dict[str, Any]:
        for key, kind in task.outputs.items():
            self.kinds[FromTask(task.name, key)] = kind
        parameters: dict[str, Any] = dict(task.parameters)
        types = {name: "NUMBER_INTEGER" if name in INTEGERS else "STRING" for name in parameters}
        definitions = _definitions(types, {name: self.kinds[source] for name, source in task.artifacts.items()})
        if task.final_status:
            status = {"parameterType": "TASK_FINAL_STATUS", "isOptional": True}
            definitions.setdefault("parameters", {})["status"] = status
        self.components[f"comp-{task.name}"] = _drop_empty(
            {
                "executorLabel": f"exec-{task.name}",
                "inputDefinitions": definitions,
                "outputDefinitions": _definitions(dict.fromkeys(task.output_parameters, "STRING"), task.outputs),
            }
        )
        self.executors[f"exec-{task.name}"] = {
            "container": {
                "image": self.target.images.get(task.node, self.target.image),
                "command": list(COMMAND),
                "args": ["--node", task.node, *task.arguments, "--executor-input", "{{$}}"],
            }
        }
        reference = self._reference(task, own, outer, inside, parameters, task.artifacts)
        if task.final_status:
            status_input = {"taskFinalStatus": {"producerTask": task.final_status}}
            reference.setdefault("inputs", {}).setdefault("parameters", {})["status"] = status_input
        reference["cachingOptions"] = {"enableCache": True} if task.cached else {}
        return reference

    def _reference(  # noqa: PLR0913 - what a task is made of
        self,
        member: Task | Group,
        own: set[str],
        outer: _Dag,
        inside: bool,
        parameters: Mapping[str, Any],
        artifacts: Mapping[str, FromTask],
    ) -> dict[str, Any]:
        """Write how a DAG calls a component; what the DAG does not have itself, it asks of its own caller."""
        inputs: dict[str, Any] = {
            "parameters": {name: _parameter(source, own, outer, inside) for name, source in parameters.items()},
            "artifacts": {name: _artifact(source, own, outer) for name, source in artifacts.items()},
        }
        sources = [source for source in (*parameters.values(), *artifacts.values()) if isinstance(source, FromTask)]
        before = {source.task for source in sources} | set(getattr(member, "after", ()))
        if final := getattr(member, "final_status", None):
            before.add(final)
        written: dict[str, Any] = {
            "taskInfo": {"name": member.name},
            "componentRef": {"name": f"comp-{member.name}"},
            "dependentTasks": sorted(before & own),
            "inputs": _drop_empty(inputs),
            "triggerPolicy": _trigger(member),
        }
        return _drop_empty(written)

    def _parameter_type(self, source: FromPipeline | FromTask) -> str:
        return "NUMBER_INTEGER" if isinstance(source, FromPipeline) and source.name in INTEGERS else "STRING"


def _parameter(source: Any, own: set[str], outer: _Dag, inside: bool) -> dict[str, Any]:
    if isinstance(source, Constant):
        return {"runtimeValue": {"constant": source.value}}
    if isinstance(source, FromTask) and source.task in own:
        return {"taskOutputParameter": {"producerTask": source.task, "outputParameterKey": source.key}}
    if not inside:
        return {"componentInputParameter": source.name}
    outer.parameters[_channel(source)] = source
    return {"componentInputParameter": _channel(source)}


def _artifact(source: FromTask, own: set[str], outer: _Dag) -> dict[str, Any]:
    if source.task in own:
        return {"taskOutputArtifact": {"producerTask": source.task, "outputArtifactKey": source.key}}
    outer.artifacts[_channel(source)] = source
    return {"componentInputArtifact": _channel(source)}


def _channel(source: FromPipeline | FromTask) -> str:
    """Return the name under which a group's tasks know something of outside; the KFP SDK uses the same names."""
    inner = source.name if isinstance(source, FromPipeline) else f"{source.task}-{source.key}"
    return f"pipelinechannel--{inner}"


def _trigger(member: Task | Group) -> dict[str, Any]:
    if isinstance(member, Task):
        return {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"} if member.final_status else {}
    if member.only_if is None:
        return {}
    return {"condition": f"inputs.parameter_values['{_channel(member.only_if)}'] == 'true'"}


def _definitions(parameters: Mapping[str, str], artifacts: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "parameters": {name: {"parameterType": kind} for name, kind in parameters.items()},
        "artifacts": {
            name: {"artifactType": {"schemaTitle": kind, "schemaVersion": "0.0.1"}} for name, kind in artifacts.items()
        },
    }
    return _drop_empty(found)


def _default(name: str, value: Any) -> dict[str, Any]:
    kind = "NUMBER_INTEGER" if name in INTEGERS else "STRING"
    return {"parameterType": kind, "defaultValue": value, "isOptional": True}


def _drop_empty(written: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in written.items() if value not in ({}, [])}


def _apply_resources(loaded: LoadedSpec, writer: _Writer, spec: dict[str, Any], tasks: list[Task]) -> dict[str, Any]:
    """Write what each step asks of the cluster into the IR where it has a place, and return the platform document."""
    from pipelines import resources
    from pipelines.ir import platform

    wanted = resources.step_resources(loaded)
    configs = {}
    for task in tasks:
        step = wanted[task.node]
        container = writer.executors[f"exec-{task.name}"]["container"]
        container.update(
            _drop_empty({"resources": platform.container_resources(step), "env": platform.environment(step)})
        )
        if policy := platform.retry_policy(step):
            _find_task(spec, task.name)["retryPolicy"] = policy
        if config := platform.executor_config(step):
            configs[f"exec-{task.name}"] = config
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": configs}}}}


def _find_task(spec: dict[str, Any], name: str) -> dict[str, Any]:
    dags = [spec["root"]["dag"], *(part["dag"] for part in spec["components"].values() if "dag" in part)]
    found: dict[str, Any] = next(dag["tasks"][name] for dag in dags if name in dag["tasks"])
    return found
