"""A compiled pipeline as its rules look at it: who calls what, with which inputs, in which container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

EXIT = "ALL_UPSTREAM_TASKS_COMPLETED"


@dataclass(frozen=True)
class Dag:
    """Tasks that are scheduled together: the pipeline itself, or a group.

    Args:
        where: dotted path of the component that it belongs to.
        name: of that component.
        component: the component.
    """

    where: str
    name: str
    component: Mapping[str, Any]

    @property
    def tasks(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.component["dag"].get("tasks", {})
        return found


@dataclass(frozen=True)
class Call:
    """One task, and the component that it runs.

    Args:
        where: dotted path of the task.
        name: of the task in its DAG.
        task: what the DAG says of it.
        dag: where it is.
        component: what it runs; empty when there is no such component.
    """

    where: str
    name: str
    task: Mapping[str, Any]
    dag: Dag
    component: Mapping[str, Any]

    @property
    def component_name(self) -> str:
        return str(self.task.get("componentRef", {}).get("name", ""))

    @property
    def condition(self) -> str:
        return str(self.task.get("triggerPolicy", {}).get("condition", ""))

    @property
    def is_exit(self) -> bool:
        return bool(self.task.get("triggerPolicy", {}).get("strategy") == EXIT)

    def inputs(self, kind: str) -> Mapping[str, Any]:
        """Return what the task is given: `parameters` or `artifacts`."""
        found: Mapping[str, Any] = self.task.get("inputs", {}).get(kind, {})
        return found

    def definitions(self, kind: str) -> Mapping[str, Any]:
        """Return what its component asks for: `parameters` or `artifacts`."""
        return input_definitions(self.component, kind)

    def producers(self) -> Iterator[tuple[str, str]]:
        """Yield the path of each input that another task makes, and that task."""
        for kind, source in (("parameters", "taskOutputParameter"), ("artifacts", "taskOutputArtifact")):
            for name, value in self.inputs(kind).items():
                if source in value:
                    yield f"{self.where}.inputs.{kind}.{name}", str(value[source].get("producerTask", ""))

    def before(self) -> set[str]:
        """Return the tasks that Argo waits for, as the backend's compiler adds them up."""
        return {*self.task.get("dependentTasks", ()), *(producer for _, producer in self.producers())}


@dataclass(frozen=True)
class Document:
    """Both documents of a compiled pipeline.

    Args:
        pipeline: JSON of a `PipelineSpec`.
        platform: JSON of a `PlatformSpec`.
    """

    pipeline: Mapping[str, Any]
    platform: Mapping[str, Any]

    @property
    def components(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.pipeline.get("components", {})
        return found

    @property
    def executors(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.pipeline.get("deploymentSpec", {}).get("executors", {})
        return found

    @property
    def executor_configs(self) -> Mapping[str, Any]:
        """What the platform document says of each executor."""
        kubernetes = self.platform.get("platforms", {}).get("kubernetes", {})
        found: Mapping[str, Any] = kubernetes.get("deploymentSpec", {}).get("executors", {})
        return found

    def dags(self) -> Iterator[Dag]:
        if "dag" in self.pipeline.get("root", {}):
            yield Dag("root", "root", self.pipeline["root"])
        for name, component in self.components.items():
            if "dag" in component:
                yield Dag(f"components.{name}", name, component)

    def calls(self) -> Iterator[Call]:
        for dag in self.dags():
            for name, task in dag.tasks.items():
                component = self.components.get(task.get("componentRef", {}).get("name", ""), {})
                yield Call(f"{dag.where}.dag.tasks.{name}", name, task, dag, component)

    def call(self, dag: Dag, name: str) -> Call | None:
        """Return a task of a DAG by its name, or None."""
        found = (call for call in self.calls() if call.dag.where == dag.where and call.name == name)
        return next(found, None)

    def containers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the label and the container of each executor that has one."""
        for label, executor in self.executors.items():
            if "container" in executor:
                yield label, executor["container"]


def input_definitions(component: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = component.get("inputDefinitions", {}).get(kind, {})
    return found


def output_definitions(component: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = component.get("outputDefinitions", {}).get(kind, {})
    return found
