"""Run a pipeline in this process: TFX's launcher for each component, Apache Beam inside them."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.engine.storage import StorageError
from components.errors import ComponentError
from pipelines.metadata_store import connection_config
from pipelines.plan import Plan, Step
from pipelines.runners.monitor import Monitor
from pipelines.runners.runner import Job, NodeFailedError, NodeResult, Runner, Watcher
from pipelines.state import SQLITE, Record, read_json


class BeamRunner(Runner):
    """Runs components one after another in this process; ML Metadata records every execution.

    What is cached is decided by the plan, not by TFX: its own key would change with every Beam flag.
    """

    def run(self, job: Job, watcher: Watcher, results: list[NodeResult]) -> None:
        """Run what the plan says; see `Runner.run`."""
        watcher.loading("TensorFlow and TFX")
        pipeline = job.build(job.runtime)
        from tfx.dsl.compiler import compiler

        self.run_ir(compiler.Compiler().compile(pipeline), job, watcher, results)

    def run_ir(self, ir: Any, job: Job, watcher: Watcher, results: list[NodeResult]) -> None:
        """Run a compiled pipeline (`pipeline_pb2.Pipeline`); `tfx run create` arrives here too."""
        launches = self.launches(ir, job)
        by_name = {result.name: result for result in results}
        launches.bury_the_dead()
        with Monitor(Path(job.runtime["progress"]), watcher) as monitor:
            for step in job.plan.steps:
                result = by_name[step.node.name]
                if step.action == "skip":
                    result.status = "skipped"
                elif reason := decided_against(step, job.plan, by_name) or self.skip_because(step, by_name):
                    result.status, result.why = "skipped", reason
                elif step.record is not None:
                    launches.publish_cached(step.node.name, step.record)
                    fill_from_record(result, step.record, "cached")
                else:
                    result.status = "running"
                    watcher.changed(results)
                    inputs = {
                        name: by_name[source.node].outputs[source.key] for name, source in step.node.inputs.items()
                    }
                    self._launch(step, launches, monitor, inputs, result)
                    with contextlib.suppress(StorageError):  # what counts is sent with the record, and fails there
                        job.root.send_run(job.run_dir, whole=False)
                watcher.changed(results)

    def launches(self, ir: Any, job: Job) -> Launches:
        """Return what launches the components of a compiled pipeline."""
        return Launches(ir, job)

    def skip_because(self, step: Step, results: Mapping[str, NodeResult]) -> str | None:
        """Return why a component must not run after what those before it found; None when it may."""
        del step, results
        return None

    def _launch(
        self, step: Step, launches: Launches, monitor: Monitor, inputs: dict[str, str], result: NodeResult
    ) -> None:
        monitor.take_peak()
        started = time.perf_counter()
        try:
            launches.job.root.fetch(inputs.values())
            outputs = launches.launch(step.node.name)
        except Exception as error:
            result.status = "failed"
            raise NodeFailedError(step.node.name, error) from error
        finally:
            result.seconds = round(time.perf_counter() - started, 2)
            result.peak_memory_mb = launches.peak_memory_mb(step.node.name) or monitor.take_peak()
        first = outputs[next(iter(step.node.outputs))]["uri"]
        record = Record(
            node=step.node.name,
            key=step.key,
            facts=step.facts,
            inputs=inputs,
            outputs=outputs,
            run_id=launches.job.run_id,
            seconds=result.seconds,
            peak_memory_mb=result.peak_memory_mb,
            summary=read_json(Path(first) / "summary.json") or {},
            store=launches.job.root.store,
        )
        try:
            launches.job.root.write_record(record)
        except StorageError as error:
            result.status = "failed"
            raise NodeFailedError(step.node.name, error) from error
        fill_from_record(result, record, "done")


def decided_against(step: Step, plan: Plan, results: Mapping[str, NodeResult]) -> str | None:
    """Return why a component must not run: one that it follows, near or far, has decided so."""
    for name in step.node.upstream:
        summary = results[name].summary
        if summary.get("go") is False:
            return str(summary["reasons"][0])
        if reason := decided_against(plan.by_name[name], plan, results):
            return reason
    return None


def fill_from_record(result: NodeResult, record: Record, status: str) -> None:
    """Say of a component what its record says; a cached one keeps the time it once took out of this run's."""
    result.status = status
    result.outputs = record.output_uris
    result.summary = record.summary


class Launches:
    """TFX's launcher and ML Metadata for the components of one compiled pipeline.

    Args:
        ir: the compiled pipeline (`pipeline_pb2.Pipeline`).
        job: the run.
        operators: executor spec type to what runs such executors; in this process when empty.
    """

    def __init__(self, ir: Any, job: Job, operators: Mapping[type, Any] | None = None) -> None:
        from tfx.orchestration.local import runner_utils
        from tfx.orchestration.portable import runtime_parameter_utils

        from pipelines.runners.connection import metadata_connection

        # other roots may share the store, with runs that began in the same second
        self.run_suffix = f".{job.root.identity()}" if job.loaded.spec.metadata.mysql else ""
        runtime_parameter_utils.substitute_runtime_parameter(ir, {"pipeline-run-id": job.run_id + self.run_suffix})
        self.ir = ir
        self.job = job
        self.operators = dict(operators or {})
        self.deployment = runner_utils.extract_local_deployment_config(ir)
        self.connection = metadata_connection(connection_config(job.loaded.spec.metadata, job.root.metadata))
        self.artifacts = job.root.folder / "artifacts"
        self.nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in ir.nodes}

    def launch(self, name: str) -> dict[str, dict[str, Any]]:
        """Run a component; return its outputs as a `Record` holds them."""
        from tfx.orchestration.local import runner_utils
        from tfx.orchestration.portable import launcher

        info = launcher.Launcher(
            pipeline_node=self.nodes[name],
            mlmd_connection=self.connection,
            pipeline_info=self.ir.pipeline_info,
            pipeline_runtime_spec=self.ir.runtime_spec,
            executor_spec=runner_utils.extract_executor_spec(self.deployment, name),
            custom_driver_spec=runner_utils.extract_custom_driver_spec(self.deployment, name),
            custom_executor_operators=self.operators,
        ).launch()
        if info is None or not info.output_dict:
            raise RuntimeError(f"TFX did not run {name}: its inputs were not found in ML Metadata")
        outputs = {}
        with self.connection as handle:
            for key, (artifact, *_) in info.output_dict.items():
                (stored,) = handle.store.get_artifacts_by_uri(artifact.uri)
                outputs[key] = {"uri": artifact.uri, "artifact_id": stored.id, "type": artifact.type_name}
        return outputs

    def peak_memory_mb(self, name: str) -> float | None:
        """Return the largest memory of a component that ran outside this process; None when it ran in it."""
        del name
        return None

    def publish_cached(self, name: str, record: Record) -> None:
        """Tell ML Metadata that this run uses a finished execution again, so that lineage stays whole."""
        from tfx.orchestration.portable import execution_publish_utils
        from tfx.orchestration.portable.mlmd import context_lib
        from tfx.types import artifact_utils

        node = self.nodes[name]
        with self.connection as handle:
            contexts = context_lib.prepare_contexts(handle, node.contexts)
            ids = [output["artifact_id"] for output in record.outputs.values()]
            found = {artifact.id: artifact for artifact in handle.store.get_artifacts_by_id(ids)}
            _check_known(record, found)
            _move_here(handle, record, found)
            types = {kind.id: kind for kind in handle.store.get_artifact_types()}
            outputs = {
                key: [
                    artifact_utils.deserialize_artifact(
                        types[found[output["artifact_id"]].type_id], found[output["artifact_id"]]
                    )
                ]
                for key, output in record.outputs.items()
            }
            execution = execution_publish_utils.register_execution(handle, node.node_info.type, contexts)
            execution_publish_utils.publish_cached_executions(handle, contexts, [execution], [outputs])

    def bury_the_dead(self) -> None:
        """Mark executions of killed runs as failed and delete the folders they left half-written.

        The pipeline's lock is held, so whatever claims to be running is not.
        """
        from ml_metadata.proto import metadata_store_pb2

        with self.connection as handle:
            running = metadata_store_pb2.Execution.RUNNING
            dead = [item for item in self._executions(handle.store) if item.last_known_state == running]
            for execution in dead:
                execution.last_known_state = metadata_store_pb2.Execution.FAILED
                for pattern in (f"*/*/{execution.id}", f"*/.system/*/{execution.id}"):
                    for folder in self.artifacts.glob(pattern):
                        shutil.rmtree(folder, ignore_errors=True)
            if dead:
                handle.store.put_executions(dead)

    def _executions(self, store: Any) -> list[Any]:
        """Return the executions of this root; a server holds those of others too, who may be at work."""
        if not self.run_suffix:
            return list(store.get_executions())
        runs = [each for each in store.get_contexts_by_type("pipeline_run") if each.name.endswith(self.run_suffix)]
        return [execution for run in runs for execution in store.get_executions_by_context(run.id)]


def _check_known(record: Record, found: Mapping[int, Any]) -> None:
    """Make sure that the metadata store has what a record refers to: somebody may have emptied it."""
    for name, output in record.outputs.items():
        if output["artifact_id"] not in found:
            raise ComponentError(
                f"The metadata store {record.store} has no artifact {output['artifact_id']}, "
                f"the output {name} of {record.node} that run {record.run_id} made.",
                spec_path=None if record.store == SQLITE else "metadata",
                remedy="Was it emptied? Run once with --no-cache to fill it again.",
            )


def _move_here(handle: Any, record: Record, found: Mapping[int, Any]) -> None:
    """Let the store say where artifacts are now: they may have been made on another machine."""
    moved = []
    for output in record.outputs.values():
        artifact = found[output["artifact_id"]]
        if artifact.uri != output["uri"]:
            artifact.uri = output["uri"]
            moved.append(artifact)
    if moved:
        handle.store.put_artifacts(moved)
