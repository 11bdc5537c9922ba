"""Small compiled pipelines, written by hand, for tests that need no spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

NODES = {
    "example-gen": "ExampleGen",
    "trainer": "Trainer",
    "evaluator": "Evaluator",
    "pusher": "Pusher",
    "report": "Report",
    "report-blocked": "Report",
}
"""Task to node; two tasks stand for the last node, and of those one is skipped."""


@dataclass
class WrittenPipeline:
    """A compiled pipeline; see `pipelines.kubeflow.upload.Compiled`."""

    pipeline_spec: dict[str, Any]
    platform_spec: dict[str, Any] = field(default_factory=lambda: {"platforms": {"kubernetes": {}}})

    def to_yaml(self) -> str:
        return yaml.safe_dump_all([self.pipeline_spec, self.platform_spec], sort_keys=True)


def written_pipeline(
    name: str = "taxi", *, root: str = "/nowhere", image: str = "sluice:1", **more: str
) -> WrittenPipeline:
    """Return a pipeline of five components, the last ones in a group.

    Args:
        name: of the pipeline.
        root: default of its parameter `root`.
        image: of every step.
        more: further parameters, name to type.
    """
    inner = _chain("pusher", "report", "report-blocked")
    outer = _chain("example-gen", "trainer", "evaluator", "scope")
    parameters: dict[str, Any] = {
        "root": {"parameterType": "STRING", "defaultValue": root, "isOptional": True},
        "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 5, "isOptional": True},
    }
    for parameter, kind in more.items():
        parameters[parameter] = {"parameterType": kind, "defaultValue": "", "isOptional": True}
    components: dict[str, Any] = {f"comp-{task}": {"executorLabel": f"exec-{task}"} for task in NODES}
    components["comp-scope"] = {"dag": {"tasks": inner}}
    return WrittenPipeline(
        {
            "pipelineInfo": {"name": name},
            "schemaVersion": "2.1.0",
            "sdkVersion": "sluice-0.1.0",
            "root": {"dag": {"tasks": outer}, "inputDefinitions": {"parameters": parameters}},
            "components": components,
            "deploymentSpec": {
                "executors": {f"exec-{task}": {"container": _container(node, image)} for task, node in NODES.items()}
            },
        }
    )


def _chain(*names: str) -> dict[str, Any]:
    tasks: dict[str, Any] = {}
    for name in names:
        task: dict[str, Any] = {"componentRef": {"name": f"comp-{name}"}, "taskInfo": {"name": name}}
        if tasks:
            task["dependentTasks"] = [next(reversed(tasks))]
        tasks[name] = task
    return tasks


def _container(node: str, image: str) -> dict[str, Any]:
    command = ["python", "-m", "pipelines.ir.step"]
    return {"image": image, "command": command, "args": ["--node", node, "--executor-input", "{{$}}"]}
