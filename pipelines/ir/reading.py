"""Read a compiled pipeline back: each task with where its inputs come from, groups unfolded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from pipelines.ir.graph import Constant, FromPipeline, FromTask, Source


@dataclass(frozen=True)
class CompiledTask:
    """One container of a compiled pipeline.

    Args:
        name: of the task.
        image, command: what runs; the command still holds `{{$}}`.
        environment: its environment variables.
        parameters: name to where the value comes from.
        artifacts: name to the output that feeds it; only inputs that some task gives.
        outputs: output name to its type, as the IR has it.
        conditions: outputs that must be "true", its own and those of the groups it is in.
        after: tasks that must have ended before.
        exit_handler: it runs when all others have ended, whatever came of them.
    """

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    parameters: Mapping[str, Source]
    artifacts: Mapping[str, FromTask]
    outputs: Mapping[str, Any]
    conditions: tuple[FromTask, ...]
    after: tuple[str, ...]
    exit_handler: bool = False

    @property
    def node(self) -> str:
        """The step that it runs."""
        return self.command[self.command.index("--node") + 1]

    def values(self, run: Mapping[str, Any], returned: Callable[[FromTask], Any]) -> dict[str, Any]:
        """Return the values of its parameters.

        Args:
            run: parameters of the run.
            returned: gives the value of an output parameter.
        """
        found = {}
        for name, source in self.parameters.items():
            match source:
                case Constant(value):
                    found[name] = value
                case FromPipeline(key):
                    found[name] = run[key]
                case FromTask():
                    found[name] = returned(source)
        return found

    def executor_input(self, values: Mapping[str, Any], inputs: Mapping[str, Any], folder: str) -> dict[str, Any]:
        """Return what KFP's open-source driver hands over.

        Args:
            values: of its parameters.
            inputs: input name to `{"name", "uri", "metadata"}`; the driver does not say their types.
            folder: where its outputs go.
        """
        outputs = {
            key: {"artifacts": [{"name": key, "uri": f"{folder}/{key}", "type": kind, "metadata": {}}]}
            for key, kind in self.outputs.items()
        }
        handed = {key: {"artifacts": [{**given, "type": {"instanceSchema": ""}}]} for key, given in inputs.items()}
        return {
            "inputs": {"parameterValues": dict(values), "artifacts": handed},
            "outputs": {"artifacts": outputs, "outputFile": f"{folder}/executor_output.json"},
        }

    def command_line(self, executor_input: Mapping[str, Any]) -> list[str]:
        """Return the command with the executor input in its place."""
        return [word.replace("{{$}}", json.dumps(executor_input)) for word in self.command]


@dataclass
class _Scope:
    """A DAG, and what its own inputs stand for in the pipeline around it."""

    parameters: Mapping[str, Source] = field(default_factory=dict)
    artifacts: Mapping[str, FromTask] = field(default_factory=dict)
    conditions: tuple[FromTask, ...] = ()
    after: tuple[str, ...] = ()


def read_tasks(pipeline_spec: Mapping[str, Any]) -> list[CompiledTask]:
    """Return the tasks in an order in which they can run, exit handlers last."""
    found = {task.name: task for task in _Reader(pipeline_spec).tasks(pipeline_spec["root"]["dag"], _Scope())}
    graph = {name: [before for before in task.after if before in found] for name, task in found.items()}
    order = [found[name] for name in TopologicalSorter(graph).static_order()]
    return sorted(order, key=lambda task: task.exit_handler)


class _Reader:
    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.components = spec["components"]
        self.executors = spec["deploymentSpec"]["executors"]

    def tasks(self, dag: Mapping[str, Any], scope: _Scope) -> list[CompiledTask]:
        found: list[CompiledTask] = []
        for name, written in dag["tasks"].items():
            component = self.components[written["componentRef"]["name"]]
            inner = self._inner(written, scope)
            if "dag" in component:
                found += self.tasks(component["dag"], inner)
            else:
                found.append(self._task(name, written, component, inner))
        return found

    def _inner(self, written: Mapping[str, Any], scope: _Scope) -> _Scope:
        """Return what the inputs of a task stand for, and what must hold before it runs."""
        inputs = written.get("inputs", {})
        sources = {key: _source(given, scope) for key, given in inputs.get("parameters", {}).items()}
        parameters = {key: source for key, source in sources.items() if source is not None}
        artifacts = {key: _artifact(given, scope) for key, given in inputs.get("artifacts", {}).items()}
        conditions = scope.conditions
        if condition := written.get("triggerPolicy", {}).get("condition"):
            wanted = parameters[condition.split("'")[1]]
            assert isinstance(wanted, FromTask)  # noqa: S101 - the compiler writes no other conditions
            conditions = (*conditions, wanted)
        after = tuple(dict.fromkeys((*scope.after, *written.get("dependentTasks", ()))))
        return _Scope(parameters, artifacts, conditions, after)

    def _task(self, name: str, written: Mapping[str, Any], component: Mapping[str, Any], inner: _Scope) -> CompiledTask:
        container = self.executors[component["executorLabel"]]["container"]
        outputs = component.get("outputDefinitions", {}).get("artifacts", {})
        return CompiledTask(
            name,
            container["image"],
            (*container["command"], *container["args"]),
            {each["name"]: each["value"] for each in container.get("env", ())},
            inner.parameters,
            inner.artifacts,
            {key: given["artifactType"] for key, given in outputs.items()},
            inner.conditions,
            inner.after,
            written.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED",
        )


def _source(given: Mapping[str, Any], scope: _Scope) -> Source | None:
    if "runtimeValue" in given:
        return Constant(given["runtimeValue"]["constant"])
    if output := given.get("taskOutputParameter"):
        return FromTask(output["producerTask"], output["outputParameterKey"])
    if name := given.get("componentInputParameter"):
        return scope.parameters.get(name, FromPipeline(name))
    return None  # the final status, which KFP fills in


def _artifact(given: Mapping[str, Any], scope: _Scope) -> FromTask:
    if output := given.get("taskOutputArtifact"):
        return FromTask(output["producerTask"], output["outputArtifactKey"])
    return scope.artifacts[given["componentInputArtifact"]]
