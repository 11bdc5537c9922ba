"""What the command line does, as Python calls, for notebooks and tests.

Example:
    >>> from pipelines.api import Pipeline
    >>> taxi = Pipeline.load("taxi", ["training.epochs=3"])
    >>> [step.node.name for step in taxi.plan().steps][:2]
    ['ExampleGen', 'Cleaner']
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from components.data import preflight, source
from components.data.image_requests import rows_with_images
from components.data.raw_files import raw_files
from components.engine.storage import StorageError
from components.errors import Problem, SpecError
from components.serving import predict, shelf
from pipelines import after_run, build, log_file, metadata_store
from pipelines.failure import failure_of
from pipelines.plan import EVERYTHING, Choices, Plan, make_plan
from pipelines.run_record import RunRecorder, RunResult
from pipelines.runners.runner import Job, NodeFailedError, NodeResult, Runner, Watcher
from pipelines.spec import LoadedSpec, load_spec
from pipelines.state import PipelineRoot

DEFAULT_HOME = Path(".sluice")

WatcherFactory = Callable[[TextIO], contextlib.AbstractContextManager[Watcher]]


class Pipeline:
    """A validated spec and the folder where its pipeline lives.

    Args:
        loaded: what `load_spec` returned.
        root: the pipeline's folder; `.sluice/NAME` in the current directory when None.
    """

    def __init__(self, loaded: LoadedSpec, root: str | Path | None = None) -> None:
        self.loaded = loaded
        self.spec = loaded.spec
        self.root = PipelineRoot(root or DEFAULT_HOME / loaded.spec.name, loaded.spec.metadata.name)
        # a path typed on the command line starts where it was typed
        start = Path.cwd() if "data.path" in loaded.overrides else loaded.base_dir
        self.data_path = source.resolve(self.spec.data.path, start)

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Sequence[str] = (), root: str | Path | None = None) -> Pipeline:
        """Read a spec; see `pipelines.spec.load_spec`.

        Raises:
            SpecError: with every problem found.
        """
        return cls(load_spec(name_or_path, overrides), root)

    def check_data(self) -> preflight.Preflight:
        """Look at the raw data as a run does before its first component.

        Raises:
            SpecError: with every problem found, each with the line of the spec it concerns.
        """
        spec = self.spec
        found = preflight.check(
            spec.data, self.data_path, spec.cleaning, spec.transform.chains, spec.evaluation.all_slices, spec.task
        )
        if found.problems:
            raise SpecError([self._located(problem) for problem in found.problems])
        return found

    def plan(self, choices: Choices = EVERYTHING, override_gate: str | None = None) -> Plan:
        """Say what a run would do and why, without running anything.

        Raises:
            SpecError: the raw data are not there.
        """
        self.root.refresh()
        try:
            files = tuple(raw_files(self.spec.data, self.data_path, self.root.folder / "state" / "digests.json"))
        except SpecError as error:
            raise SpecError([self._located(problem) for problem in error.problems]) from error
        nodes = build.pipeline_nodes(self.loaded, _override(override_gate))
        return make_plan(nodes, self.root, files=files, data_fingerprint=source.fingerprint(files), choices=choices)

    def run(
        self,
        choices: Choices = EVERYTHING,
        *,
        runner: Runner | None = None,
        override_gate: str | None = None,
        wait: bool = False,
        watch: WatcherFactory | None = None,
        now: datetime | None = None,
    ) -> RunResult:
        """Run the pipeline.

        Args:
            choices: which components.
            runner: where; in this process on Beam when None.
            override_gate: a reason to push the model whatever the gate says; it is recorded with the model.
            wait: wait for another run of this pipeline instead of refusing.
            watch: makes the watcher from a stream to the screen, since all other output goes to the log.
            now: the time, for the decision to retrain; that of the clock when None.

        Raises:
            SpecError: the spec, the data or the user's module are wrong; nothing ran.
        """
        with contextlib.ExitStack() as stack:
            name_lock = stack.enter_context(self.root.lock("that is starting", wait=wait))
            plan = self.plan(choices, override_gate)
            if not plan.all_cached:
                self.check_data()
                self._check_store()
            self.root.fetch_shown({s.node.name: s.record.output_uris for s in plan.steps if s.record})
            job = self._job(plan, now)
            name_lock(job.run_id)
            results = [NodeResult(s.node.name, s.node.section, "waiting", s.why, s.key) for s in plan.steps]
            recorder = RunRecorder(self.loaded, job, results)
            screen = stack.enter_context(log_file.redirected(job.run_dir / "log.txt"))
            watcher = _Recording(stack.enter_context(watch(screen)) if watch else Watcher(), recorder)
            watcher.changed(results)
            try:
                result = self._execute(job, runner, watcher, results, recorder)
            except BaseException:
                with contextlib.suppress(StorageError):
                    self.root.send_run(job.run_dir)
                raise
            after_run.tell(self.spec.notify, result)
            after_run.write_page(result)
            return self._sent(result)

    def runs(self) -> list[dict[str, Any]]:
        """Return the record of every run, oldest first."""
        self.root.refresh()
        return self.root.runs()

    def serving_folder(self, version: int | None = None) -> Path:
        """Return where blessed models are pushed to: TF Serving's base path of this model.

        Args:
            version: which version to copy here when they are on a remote root; the newest when None.
        """
        place = shelf.place_of(self.spec.serving.push_to, self.root.place)
        return shelf.local_versions(place, self.root.folder / "serving", version)

    def predict(self, rows: Any, version: int | None = None) -> predict.Predictions:
        """Answer with a pushed model, as its server would.

        Args:
            rows: a CSV, Parquet or JSON-lines file, for images also a folder of them, a list of `{column: value}`, or
                a pyarrow Table.
            version: a pushed version; the one being served when None.

        Raises:
            SpecError: no such model was pushed, a column is missing, or a value cannot be what the model takes.
        """
        folder = self.serving_folder(version)
        model = folder if version is None else folder / str(version)
        if isinstance(rows, str | Path):
            path = Path(rows)
            rows = rows_with_images(path, self.spec.data.image_columns, lambda: predict.read_rows(path, model))
        return predict.predict_rows(model, rows)

    def tfx_pipeline(self) -> Any:
        """Return the TFX pipeline (`tfx.orchestration.pipeline.Pipeline`), for TFX's own tools."""
        plan = self.plan()
        runtime = self._runtime(plan, "not-started", self.root.folder / "runs")
        return build.build_pipeline(tuple(step.node for step in plan.steps), self.spec, runtime)

    def _job(self, plan: Plan, now: datetime | None) -> Job:
        run_id, run_dir = self.root.new_run()
        nodes = tuple(step.node for step in plan.steps)

        def make(runtime: Mapping[str, Any]) -> Any:
            return build.build_pipeline(nodes, self.spec, runtime)

        runtime = self._runtime(plan, run_id, run_dir) | {"now": (now or datetime.now(UTC)).isoformat()}
        return Job(self.spec.name, run_id, run_dir, self.root, plan, runtime, make, self.loaded)

    def _runtime(self, plan: Plan, run_id: str, run_dir: Path) -> dict[str, Any]:
        """Return what every component is told about where it runs; nothing here changes a result."""
        return {
            "root": str(self.root.folder),
            **({"remote": self.root.place} if self.root.mirror else {}),
            "data_path": self.data_path,
            "span": plan.span,
            "fingerprint": plan.fingerprint,
            "base_dir": str(self.loaded.base_dir),
            "engine": self.spec.engine.model_dump(mode="json"),
            "workers": self.spec.resources.workers,
            "launcher": "processes",
            "run_id": run_id,
            "trainer_key": plan.by_name["Trainer"].key,
            "baseline": asdict(plan.baseline) if plan.baseline else None,
            "progress": str(run_dir / "progress.jsonl"),
        }

    def _execute(
        self, job: Job, runner: Runner | None, watcher: Watcher, results: list[NodeResult], recorder: RunRecorder
    ) -> RunResult:
        from pipelines.runners import beam

        if job.plan.all_cached:
            for step, result in zip(job.plan.steps, results, strict=True):
                if step.record:
                    beam.fill_from_record(result, step.record, "cached")
                else:
                    result.status = "skipped"
            watcher.changed(results)
            return recorder.write("cached")
        try:
            self._check_code(watcher, job)
            (runner or beam.BeamRunner()).run(job, watcher, results)
        except NodeFailedError as failed:
            logging.getLogger("sluice").error(
                "%s failed:\n%s", failed.name, "".join(traceback.format_exception(failed))
            )
            return recorder.write("failed", failure_of(failed, self.loaded, job.run_dir / "log.txt"))
        except BaseException as error:
            recorder.write("failed", {"component": None, "message": repr(error), "log": str(job.run_dir / "log.txt")})
            raise
        done = recorder.write("running")
        if done.decision and not done.decision["go"]:
            return recorder.write("skipped")
        if done.pushed or any(result.name == "Pusher" and result.status == "cached" for result in results):
            return recorder.write("pushed" if done.pushed else "blocked")
        # a runner that obeys the compiled pipeline does not even start the Pusher of a blocked model
        wanted = job.plan.by_name["Pusher"].action == "run"
        return recorder.write("blocked" if wanted else "partial")

    def _check_code(self, watcher: Watcher, job: Job) -> None:
        """Find errors in the user's module and in optimizer arguments before the first component runs."""
        if job.plan.by_name["Trainer"].action != "run":
            return
        watcher.loading("TensorFlow and Keras")
        from components.training import check

        inputs = self.spec.transform.expected_inputs(self.spec.data.features)
        problems = check.check_before_run(job.plan.by_name["Trainer"].node.config, job.runtime["base_dir"], inputs)
        if problems:
            raise SpecError([self._located(problem) for problem in problems])

    def _sent(self, result: RunResult) -> RunResult:
        """Send the run's folder to a remote root; a run that failed has said what there is to say."""
        try:
            self.root.send_run(result.folder)
        except StorageError as error:
            if result.status == "failed":
                return result
            message = f"The run ended ({result.status}), but what it says of itself could not be sent: {error.message}"
            raise StorageError(message, remedy=f"It is in {result.folder}; the next run here sends it.") from error
        return result

    def _check_store(self) -> None:
        """Log in to the metadata store before the first component runs."""
        try:
            metadata_store.check(self.spec.metadata)
        except SpecError as error:
            raise SpecError([self._located(problem) for problem in error.problems]) from error

    def _located(self, problem: Problem) -> Problem:
        if problem.file:
            return problem
        parts = tuple(int(part) if part.isdigit() else part for part in problem.where.split("."))
        line = self.loaded.source.line(parts)
        return Problem(problem.where, problem.received, problem.expected, problem.remedy, self.loaded.source.file, line)


class _Recording(Watcher):
    """Writes `run.json` at every change, then tells the screen."""

    def __init__(self, screen: Watcher, recorder: RunRecorder) -> None:
        self.screen = screen
        self.recorder = recorder

    def loading(self, what: str) -> None:
        self.screen.loading(what)

    def changed(self, results: list[NodeResult]) -> None:
        self.recorder.write("running")
        self.screen.changed(results)

    def progress(self, component: str, text: str, done: float | None, total: float | None) -> None:
        self.screen.progress(component, text, done, total)


def _override(reason: str | None) -> dict[str, str] | None:
    return None if reason is None else {"reason": reason, "by": getpass.getuser()}
