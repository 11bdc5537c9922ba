"""Runs a compiled pipeline on Kubeflow Pipelines and follows it as if it ran here."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from components.errors import SluiceError
from pipelines.kubeflow import record, runs
from pipelines.kubeflow.client import KubeflowClient
from pipelines.kubeflow.failure import failure_of
from pipelines.kubeflow.follow import follow
from pipelines.kubeflow.settings import KubeflowSettings
from pipelines.kubeflow.tasks import pipeline_tasks
from pipelines.kubeflow.upload import (
    Compiled,
    check_parameters,
    connect,
    parameter_definitions,
    pipeline_name,
    upload,
)
from pipelines.run_record import RunResult
from pipelines.runners.runner import NodeResult, Watcher
from pipelines.spec import LoadedSpec

WatcherFactory = Callable[[TextIO], contextlib.AbstractContextManager[Watcher]]
SHOWN_LOG_LINES = 6


class LeftRunningError(SluiceError):
    """The user stopped watching; the run goes on in the cluster."""

    exit_code = 130


def _say_nothing(line: str) -> None:
    """The default for `say`."""


@dataclass
class KubeflowRunner:
    """Starts a compiled pipeline on a server, follows it and fetches what it leaves.

    What is cached is decided by KFP, so there is no plan and no lock here: the same pipeline may run several times at
    once, and Kubernetes is where it waits.

    Args:
        settings: the server and who asks.
        folder: of the pipeline on this machine; records and pages of its runs are put below it.
        watch: makes the watcher from a stream to the screen.
        say: shows a line to the user.
        loaded: the spec that was compiled, for messages to name its file and lines.
    """

    settings: KubeflowSettings
    folder: Path
    watch: WatcherFactory | None = None
    say: Callable[[str], None] = _say_nothing
    loaded: LoadedSpec | None = None
    client: KubeflowClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = KubeflowClient(self.settings)

    def run(self, compiled: Compiled, parameters: Mapping[str, Any] | None = None) -> RunResult:
        """Upload, start, follow, fetch.

        Args:
            compiled: the pipeline.
            parameters: of the run; those not named have the compiled pipeline's defaults.

        Raises:
            SpecError: the server cannot be reached or refuses; nothing was started, unless the message says so.
            ComponentError: the run was lost from sight; it goes on.
            LeftRunningError: Ctrl-C; it goes on.
        """
        given = dict(parameters or {})
        check_parameters(compiled, given)
        name = runs.new_name(pipeline_name(compiled))
        try:
            server = connect(self.client, pipeline_name(compiled))
            version = upload(server, compiled)
            self.say(f"version {version.name} ({'uploaded' if version.new else 'there already'})")
            started = runs.start(server, version, given, name)
        except KeyboardInterrupt as error:
            raise LeftRunningError(
                f"Stopped while starting. If the server has a run {name!r}, it was started."
            ) from error
        self.say(f"run {started.name} → {self.settings.run_url(started.run_id)}")
        return self._follow(compiled, started.run_id, given)

    def attach(self, compiled: Compiled, run_id: str) -> RunResult:
        """Follow a run that was started before; see `run`.

        Args:
            compiled: the pipeline it is a run of.
            run_id: the server's id.
        """
        run = runs.look(self.client, run_id)
        return self._follow(compiled, run_id, (run.get("runtime_config") or {}).get("parameters") or {})

    def terminate(self, run_id: str) -> None:
        """End a run.

        Raises:
            SpecError: the server cannot be reached, refuses, or has no such run.
        """
        runs.terminate(self.client, run_id)
        self.say(f"run {run_id} is being ended")

    def _follow(self, compiled: Compiled, run_id: str, parameters: Mapping[str, Any]) -> RunResult:
        names = pipeline_tasks(compiled.pipeline_spec)
        results = {node: NodeResult(node, "", "waiting", "", "") for node in names.values()}
        watching = self.watch(sys.stdout) if self.watch else contextlib.nullcontext(Watcher())
        try:
            with watching as watcher:
                run = follow(self.client, run_id, names, results, watcher)
        except KeyboardInterrupt as error:
            raise LeftRunningError(
                f"Run {run_id} goes on in the cluster. Follow it again with --attach {run_id}, end it with "
                f"--terminate {run_id}, or see {self.settings.run_url(run_id)}."
            ) from error
        return self._result(compiled, run, results, parameters)

    def _result(
        self,
        compiled: Compiled,
        run: Mapping[str, Any],
        results: Mapping[str, NodeResult],
        parameters: Mapping[str, Any],
    ) -> RunResult:
        run_id = str(run["run_id"])
        folder = self.folder / "runs" / run_id
        names = pipeline_tasks(compiled.pipeline_spec)
        failure = None if run.get("state") == "SUCCEEDED" else self._failure(run, names, folder)
        default = parameter_definitions(compiled).get("root", {}).get("defaultValue", "")
        root = str(parameters.get("root") or default)
        fetched = record.fetch(root, run_id, folder) if root else record.Fetched(None, "The pipeline has no root.")
        if fetched.note and failure is None:
            self.say(f"{fetched.note} What is shown comes from the server alone.")
        whole = record.complete(fetched, run, [*results.values()], failure)
        whole.setdefault("pipeline", pipeline_name(compiled))
        whole["spec_file"] = str(self.loaded.path) if self.loaded else whole.get("spec_file", "SPEC")
        record.save(whole, folder)
        return RunResult(run_id, whole["status"], whole, folder)

    def _failure(self, run: Mapping[str, Any], names: Mapping[str, str], folder: Path) -> dict[str, Any]:
        failure = failure_of(self.client, run, names)
        place = url = self.settings.run_url(str(run["run_id"]))
        if failure.log:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "failed_task.log").write_text(failure.log + "\n", encoding="utf-8")
            place = str(folder / "failed_task.log")
            if not failure.told:
                for line in failure.log.splitlines()[-SHOWN_LOG_LINES:]:
                    self.say(f"  | {line}")
        return {
            "component": failure.component,
            "message": failure.message,
            "spec_path": failure.spec_path,
            "spec_line": self.loaded.where(failure.spec_path) if self.loaded and failure.spec_path else None,
            "remedy": failure.remedy or ("" if failure.log else f"See the task's log: {url}"),
            "log": place,
        }
