"""The tasks of a compiled pipeline: the nodes of the DAG, and what a cluster needs around them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipelines.build import pipeline_nodes
from pipelines.ir.graph import Constant, FromPipeline, FromTask, Group, Source, Task, constant_json, flat
from pipelines.node import Node, Output
from pipelines.resources import worker_resources
from pipelines.spec import LoadedSpec, PipelineSpec

RUN_ID = "{{$.pipeline_job_uuid}}"
"""What KFP replaces with the id of the run; in the inputs of a task it ends its caching, so few tasks have it."""

SYSTEM_TYPES = {"Examples": "system.Dataset", "Model": "system.Model"}
"""TFX artifact type to the type that KFP's UI knows; all others are `system.Artifact`."""


EXTRA_OUTPUTS: dict[str, dict[str, str]] = {
    "StatisticsGen": {"statistics_report": "system.HTML"},
    "Evaluator": {
        "metrics": "system.Metrics",
        "roc": "system.ClassificationMetrics",
        "verdict": "system.Markdown",
    },
}
"""Artifacts that KFP's UI draws, beside the node's own outputs."""


def task_name(node: str) -> str:
    """Return the task of a node.

    Example:
        >>> task_name("ExampleGen"), task_name("LatestBlessed")
        ('example-gen', 'latest-blessed')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", node).lower()


def run_parameters(loaded: LoadedSpec, data_path: str, root: str) -> dict[str, Any]:
    """Return the parameters of a run with their defaults.

    Args:
        loaded: the spec.
        data_path: where the raw data are, as a step sees them.
        root: the pipeline's folder, as a step sees it.
    """
    return {
        "data_path": data_path,
        "epochs": loaded.spec.training.epochs,
        "override_gate": "",
        "root": root,
        "span": "",
    }


def pipeline_tasks(loaded: LoadedSpec) -> tuple[Task | Group, ...]:
    """Return the tasks of a pipeline, in an order in which they can run."""
    nodes = pipeline_nodes(loaded)
    types = {Output(node.name, key): kind for node in nodes for key, kind in node.outputs.items()}
    tasks = [_resolve(loaded), *(_node_task(node, types, loaded) for node in nodes)]
    members = _behind_decision(_behind_gate(tasks, loaded, nodes), loaded, nodes)
    if loaded.spec.notify is None:
        return members
    scope = Group("pipeline", members)
    return (scope, _notify(loaded.spec, scope.name))


def _resolve(loaded: LoadedSpec) -> Task:
    """Looks at the data and at what is served now, so that everything behind it can be cached by what it says."""
    return Task(
        "resolve",
        "Resolve",
        parameters={
            "config": constant_json(loaded.spec.model_dump(mode="json")),
            "data_path": FromPipeline("data_path"),
            "root": FromPipeline("root"),
            "span": FromPipeline("span"),
        },
        output_parameters=("data_path", "fingerprint", "span", "baseline_version", "started"),
        cached=False,
    )


def _node_task(node: Node, types: Mapping[Output, str], loaded: LoadedSpec) -> Task:
    kinds = {name: types[source] for name, source in node.inputs.items()}
    parameters: dict[str, Source] = {
        "config": constant_json(node.config),
        "runtime": constant_json(_runtime(node, loaded)),
    }
    if node.reads == "data" or node.name == "Decider":
        for key in ("data_path", "fingerprint", "span"):
            parameters[key] = FromTask("resolve", key)
    if node.reads == "baseline":
        parameters["baseline_version"] = FromTask("resolve", "baseline_version")
    for key in _FROM_PIPELINE.get(node.name, ()):
        parameters[key] = Constant(RUN_ID) if key == "run_id" else FromPipeline(key)
    outputs = {key: SYSTEM_TYPES.get(kind, "system.Artifact") for key, kind in node.outputs.items()}
    task = Task(
        task_name(node.name),
        node.name,
        arguments=("--section", node.section, "--input-types", json.dumps(kinds, sort_keys=True)),
        parameters=parameters,
        artifacts={name: FromTask(task_name(source.node), source.key) for name, source in node.inputs.items()},
        outputs={**outputs, **EXTRA_OUTPUTS.get(node.name, {})},
        output_parameters=_OUTPUT_PARAMETERS.get(node.name, ()),
        after=tuple(task_name(name) for name in node.after),
    )
    if node.name == "Pusher":
        # it publishes, so it must never be thought to have done so already
        return replace(task, cached=False)
    return replace(task, cached=node.cached)


_FROM_PIPELINE = {
    "LatestBlessed": ("root",),
    "Decider": ("root", "run_id"),
    "Trainer": ("epochs", "root"),
    "Evaluator": ("override_gate",),
    "Pusher": ("override_gate", "root", "run_id"),
}
_OUTPUT_PARAMETERS = {"Evaluator": ("push", "blocked"), "Decider": ("go", "skipped")}


def _runtime(node: Node, loaded: LoadedSpec) -> dict[str, Any]:
    """Return what the component is told about where it runs, as far as the compiler knows it."""
    from pipelines.ir.worker_pod import worker_pod

    runtime: dict[str, Any] = {"engine": loaded.spec.engine.model_dump(mode="json")}
    if node.name == "Trainer" and (workers := worker_resources(loaded)):
        runtime |= {"launcher": "kubernetes", "workers": workers.workers, "worker_pod": worker_pod(workers)}
        runtime["worker_kind"] = workers.config.worker_kind or "auto"
    return runtime


def _report(loaded: LoadedSpec, nodes: tuple[Node, ...], name: str) -> Task:
    """Write the run's record and page.

    There is one such task for every way in which a run can end well: in Argo nothing runs behind a task that was
    skipped, and an exit handler is given no artifacts.
    """
    spec = {
        "spec": loaded.spec.model_dump(mode="json"),
        "spec_file": loaded.path.name,
        "spec_text": loaded.path.read_text(encoding="utf-8"),
        "overrides": loaded.overrides,
        "nodes": [[node.name, node.section, list(node.outputs)] for node in nodes],
    }
    known = ("data_path", "fingerprint", "span", "started")
    return Task(
        name,
        "Report",
        arguments=("--task", name),
        parameters={
            "config": constant_json(spec),
            **{key: FromTask("resolve", key) for key in known},
            "root": FromPipeline("root"),
            "run_id": Constant(RUN_ID),
        },
        artifacts={
            report_input(node.name, key): FromTask(task_name(node.name), key)
            for node in nodes
            for key in REPORTED.get(node.name, ())
        },
        outputs={"page": "system.HTML"},
        cached=False,
    )


REPORTED = {
    "ExampleGen": ("examples",),
    "Cleaner": ("examples",),
    "StatisticsGen": ("statistics",),
    "SchemaGen": ("schema",),
    "LatestBlessed": ("model",),
    "ExampleValidator": ("anomalies",),
    "Decider": ("decision",),
    "Transform": ("transform_graph",),
    "Balancer": ("examples",),
    "Tuner": ("tuner_results",),
    "Trainer": ("model", "model_run"),
    "Evaluator": ("evaluation",),
}
"""The artifacts that the report is made of."""


def report_input(node: str, key: str) -> str:
    """Return the name under which the report gets an output.

    Example:
        >>> report_input("ExampleGen", "examples")
        'example_gen__examples'
    """
    return f"{task_name(node).replace('-', '_')}__{key}"


def _notify(spec: PipelineSpec, scope: str) -> Task:
    assert spec.notify is not None  # noqa: S101 - for the type checker; the caller looked
    return Task(
        "notify",
        "Notify",
        parameters={
            "config": constant_json({"notify": spec.notify.model_dump(mode="json"), "pipeline": spec.name}),
            "root": FromPipeline("root"),
            "run_id": Constant(RUN_ID),
        },
        cached=False,
        final_status=scope,
    )


def _behind_gate(tasks: list[Task], loaded: LoadedSpec, nodes: tuple[Node, ...]) -> list[Task | Group]:
    """Put the Pusher behind the gate; one of two reports is written, whatever the gate said."""
    *before, pusher = tasks
    pushed = replace(_report(loaded, nodes, "report"), after=(pusher.name,))
    blocked = _report(loaded, nodes, "report-blocked")
    return [
        *before,
        Group("publish", (pusher, pushed), FromTask("evaluator", "push")),
        Group("blocked", (blocked,), FromTask("evaluator", "blocked")),
    ]


def _behind_decision(
    members: list[Task | Group], loaded: LoadedSpec, nodes: tuple[Node, ...]
) -> tuple[Task | Group, ...]:
    """Put what depends on the decision to train into a group that runs only when it is yes."""
    names = [member.name for member in members]
    if "decider" not in names:
        return tuple(members)
    cut = names.index("decider") + 1
    decided = {task.node for task in flat(members[:cut])}
    skipped = _report(loaded, tuple(node for node in nodes if node.name in decided), "report-skipped")
    return (
        *members[:cut],
        Group("skipped", (skipped,), FromTask("decider", "skipped")),
        Group("training", tuple(members[cut:]), FromTask("decider", "go")),
    )
