"""Run a pipeline step by step in containers on this machine: what a cluster gets, without a cluster.

Every component of the compiled pipeline runs in a container of its own, with the command, the image and the executor
input that Kubeflow would give it. Plan, cache, lineage and resume are those of the Beam runner: TFX's launcher is told
that executors run in containers.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from components.data.database import SQLITE
from components.engine.storage import is_remote
from pipelines.ir.compile import Target, compile_pipeline
from pipelines.ir.executor_input import TFX_PROPERTIES
from pipelines.ir.graph import FromTask
from pipelines.ir.reading import CompiledTask, read_tasks
from pipelines.ir.step import RUNTIME_VARIABLE, output_parameters
from pipelines.ir.tasks import RUN_ID, run_parameters, task_name
from pipelines.plan import Step
from pipelines.runners.beam import BeamRunner, Launches
from pipelines.runners.container import LABEL, Containers, remove_containers, run_container
from pipelines.runners.runner import Job, NodeResult, Watcher

CREDENTIALS = (
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("PGPASSWORD", "PGUSER", "PGHOST", "PGPORT", "PGSSLMODE"),
)
"""Variables of this process that a step needs to reach a bucket or a database; ~/.pgpass does not reach a container."""


class DockerRunner(BeamRunner):
    """Runs every component in a container of its own; see `Runner`.

    Args:
        containers: engine and image.
    """

    def __init__(self, containers: Containers) -> None:
        self.containers = containers
        self.steps: _Steps | None = None

    def run(self, job: Job, watcher: Watcher, results: list[NodeResult]) -> None:
        """Run what the plan says; see `Runner.run`."""
        self.steps = _Steps(self.containers, job, watcher, {result.name: result for result in results})
        self.steps.remove_leftovers()
        try:
            super().run(job, watcher, results)
        finally:
            self.steps.remove_leftovers()

    def launches(self, ir: Any, job: Job) -> Launches:
        """Return what launches components in containers."""
        assert self.steps is not None  # noqa: S101 - `run` makes it
        return _ContainerLaunches(ir, job, self.steps)

    def skip_because(self, step: Step, results: Mapping[str, NodeResult]) -> str | None:
        """Return why the compiled pipeline would not run a component now."""
        if reason := super().skip_because(step, results):
            return reason
        assert self.steps is not None  # noqa: S101 - `run` makes it
        return self.steps.unmet_condition(step.node.name)


class _ContainerLaunches(Launches):
    """TFX's launcher, with executors in containers."""

    def __init__(self, ir: Any, job: Job, steps: _Steps) -> None:
        from tfx.proto.orchestration import executable_spec_pb2

        specs = executable_spec_pb2.PythonClassExecutableSpec, executable_spec_pb2.BeamExecutableSpec
        super().__init__(ir, job, dict.fromkeys(specs, partial(_ContainerOperator, steps)))
        self.steps = steps

    def peak_memory_mb(self, name: str) -> float | None:
        """Return what the container of a component took at most."""
        return self.steps.peak_memory_mb.get(name)


class _ContainerOperator:
    """What TFX's launcher calls in place of the executor."""

    def __init__(self, steps: _Steps, executor_spec: Any, platform_config: Any = None) -> None:
        del executor_spec, platform_config  # the container knows
        self.steps = steps

    def with_execution_watcher(self, address: str) -> _ContainerOperator:
        """Part of TFX's interface; the watcher's address means nothing in a container without a network."""
        del address
        return self

    def handle_stop(self) -> None:
        """Part of TFX's interface; `DockerRunner.run` removes what is left."""

    def run_executor(self, execution_info: Any) -> Any:
        """Run the component of an `ExecutionInfo`; return TFX's `ExecutorOutput`."""
        from tfx.orchestration.portable import python_executor_operator

        outputs = copy.deepcopy(execution_info.output_dict)
        self.steps.run_component(execution_info, outputs)
        return python_executor_operator.construct_executor_output(execution_info, outputs)


class _Steps:
    """The tasks of the compiled pipeline, run one by one."""

    def __init__(self, containers: Containers, job: Job, watcher: Watcher, results: Mapping[str, NodeResult]) -> None:
        self.containers, self.job, self.watcher, self.results = containers, job, watcher, results
        written = job.loaded.spec.data.path
        data_path = written if written.startswith("package:") else job.runtime["data_path"]
        self.parameters = run_parameters(job.loaded, data_path, job.runtime["root"])
        override = job.plan.by_name["Pusher"].node.config["override_gate"]
        self.parameters["override_gate"] = override["reason"] if override else ""
        compiled = compile_pipeline(job.loaded, Target(containers.image, self.parameters))
        (job.run_dir / "pipeline.yaml").write_text(compiled.to_yaml(), encoding="utf-8")
        self.tasks = {task.name: task for task in read_tasks(compiled.pipeline_spec)}
        self.returned: dict[FromTask, Any] = {}
        self.peak_memory_mb: dict[str, float] = {}

    def run_component(self, execution: Any, outputs: Mapping[str, list[Any]]) -> None:
        """Run the container of a component.

        Args:
            execution: TFX's `ExecutionInfo`.
            outputs: its output artifacts; they get the properties that the executor gave them.

        Raises:
            ComponentError: the container failed; with the cause that the step told.
        """
        from pipelines.ir.tfx_component import properties_of, set_properties

        node = execution.pipeline_node.node_info.id
        task = self.tasks[task_name(node)]
        by_uri = {artifact.uri: artifact for (artifact,) in execution.input_dict.values()}
        inputs = {}
        for number, (name, source) in enumerate(task.artifacts.items(), 1):
            uri = self.results[self.tasks[source.task].node].outputs[source.key]
            metadata = {TFX_PROPERTIES: properties_of(by_uri[uri]), "display_name": source.key}
            inputs[name] = {"name": str(number), "uri": uri, "metadata": metadata}
        answer = self._run(task, inputs, {key: artifact.uri for key, (artifact,) in outputs.items()})
        for key, (artifact,) in outputs.items():
            set_properties(artifact, answer["artifacts"][key]["artifacts"][0]["metadata"][TFX_PROPERTIES])
        first = next(iter(answer["artifacts"].values()))["artifacts"][0]["metadata"]
        self.peak_memory_mb[node] = float(first["peak_memory_mb"])

    def unmet_condition(self, node: str) -> str | None:
        """Return why the compiled pipeline skips a component; None when it does not."""
        for condition in self.tasks[task_name(node)].conditions:
            if self._value(condition) != "true":
                return CONDITIONS[condition]
        return None

    def _run(self, task: CompiledTask, inputs: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
        """Run a task; return its executor output."""
        values = task.values(self.parameters, self._value)
        values = {name: self.job.run_id if value == RUN_ID else value for name, value in values.items()}
        folder = self.job.run_dir / "steps" / task.name
        folder.mkdir(parents=True, exist_ok=True)
        request = task.executor_input(values, inputs, str(folder))
        for key, uri in places.items():
            request["outputs"]["artifacts"][key]["artifacts"][0]["uri"] = uri
        (folder / "executor_input.json").write_text(json.dumps(request, indent=1), encoding="utf-8")
        command = [*self._options(task), self.containers.image, *task.command_line(request)]
        run_container(self.containers.engine, command, self.watcher, task.node)
        answer: dict[str, Any] = json.loads((folder / "executor_output.json").read_text(encoding="utf-8"))
        self.returned.update({FromTask(task.name, key): value for key, value in answer["parameterValues"].items()})
        return answer

    def _value(self, source: FromTask) -> Any:
        """Return an output parameter; of a component that was cached, what its artifacts say."""
        if source not in self.returned:
            task = self.tasks[source.task]
            if task.node in self.results:
                folders = {key: Path(uri) for key, uri in self.results[task.node].outputs.items()}
                override = bool(self.parameters["override_gate"])
                found = output_parameters(task.node, folders, override=override)
                self.returned.update({FromTask(task.name, key): value for key, value in found.items()})
            else:
                self._run(task, {}, {})
        return self.returned[source]

    def _options(self, task: CompiledTask) -> list[str]:
        """Return the options of `docker run`: as little of this machine as the step needs."""
        root, runtime = str(self.job.root.folder), self.job.runtime
        told = {key: value for key, value in runtime.items() if key not in {"data_path", "progress"}}
        environment = {**task.environment, RUNTIME_VARIABLE: json.dumps(told)}
        remote = any(map(is_remote, [self.parameters["data_path"].removeprefix(SQLITE), runtime.get("remote", root)]))
        network = self.containers.network or ("host" if remote else "none")
        # by name alone: the engine takes the values from this process, and no list of processes shows them
        credentials = [name for name in CREDENTIALS if remote and name in os.environ]
        return [
            *("--rm", "--read-only", "--tmpfs", "/tmp", f"--network={network}"),  # noqa: S108 - the container's
            *("--name", f"sluice-{self.job.run_id}-{task.name}", "--label", f"{LABEL}={root}"),
            *("--user", f"{os.getuid()}:{os.getgid()}", "--volume", f"{root}:{root}"),
            *(word for folder in self._read_folders() for word in ("--volume", f"{folder}:{folder}:ro")),
            *(word for name, value in environment.items() for word in ("--env", f"{name}={value}")),
            *(word for name in credentials for word in ("--env", name)),
        ]

    def _read_folders(self) -> list[str]:
        """Return the folders outside the root that a step reads: the raw data, and what a user's model imports."""
        found = []
        data_path = self.parameters["data_path"].removeprefix(SQLITE)
        if not data_path.startswith("package:") and not is_remote(data_path):
            found.append(_fixed_folder(data_path))
        if self.job.loaded.spec.model.custom is not None:
            found.append(str(self.job.loaded.base_dir))
        return list(dict.fromkeys(found))

    def remove_leftovers(self) -> None:
        """Remove the containers of runs of this pipeline that were killed; its lock is held, so none is at work."""
        remove_containers(self.containers.engine, f"{LABEL}={self.job.root.folder}")


CONDITIONS = {
    FromTask("evaluator", "push"): "the gate blocked the model",
    FromTask("decider", "go"): "it was decided not to train",
}
"""Conditions of the compiled pipeline to what it means when one does not hold."""


def _fixed_folder(path: str) -> str:
    """Return the folder of a file, a folder itself, or the part of a pattern before its first wildcard.

    Example:
        >>> _fixed_folder("/data/span-{SPAN}/rows-*.csv")
        '/data'
    """
    fixed = re.split(r"[*?\[{]", path, maxsplit=1)[0]
    return fixed.rstrip("/") if fixed == path and Path(path).is_dir() else str(Path(fixed + "x").parent)
