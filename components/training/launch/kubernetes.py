"""Workers as pods: an indexed Job, or with Kubeflow's operators a TrainJob or a TFJob."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from components.engine.progress import report
from components.engine.storage import is_remote, join
from components.errors import ComponentError
from components.training.exchange import Exchange
from components.training.job import Job
from components.training.launch.cluster_api import CLUSTER_RUNTIMES, PODS, ApiError, ClusterApi, Resource
from components.training.launch.follow import Heard, failure_of, grace_seconds
from components.training.launch.manifests import CONTAINERS, LABEL, Kind, Workers, objects_of
from components.training.launch.pods import PodWatch, index_of, why_not_scheduled

RUNTIME_NAME = "sluice-tensorflow"
"""The ClusterTrainingRuntime in k8s/; where it can be read, Kubeflow Trainer v2 runs the workers."""

POLL_SECONDS = 2.0
START_SECONDS = 1800.0


def run(job: Job, workers: int) -> None:
    """Train in pods that look like the Trainer's own.

    The Trainer's pod brings its inputs to the pipeline's root, where the workers read them, and takes the model from
    there. All objects belong to that pod: when it is deleted, they are.

    Raises:
        ComponentError: Kubernetes refuses, or a worker failed; everything that was made is deleted.
    """
    api = ClusterApi.in_cluster()
    key = str(job.runtime.get("trainer_key") or job.runtime["run_id"])
    place = join(str(job.runtime.get("remote") or job.runtime["root"]), "multi-worker", key)
    own = api.get(PODS, os.environ.get("POD_NAME") or os.environ["HOSTNAME"])
    wanted = job.runtime.get("worker_pod") or {}
    planned = Workers(f"sluice-train-{key[:10].lower()}", workers, place, own, wanted)
    kind, base = _kind(api, job.runtime)
    objects = objects_of(kind, planned, base)
    _check_shared(place, planned, kind)
    exchange = Exchange(place)
    finished = False
    made: list[tuple[Resource, dict[str, Any]]] = []
    with _ended_by_signal():
        try:
            report(job.runtime, "Trainer", f"bringing the data to {workers} workers")
            exchange.offer(job)
            for resource, manifest in objects:
                made.append((resource, manifest))  # before: it may be there although the answer says otherwise
                api.create(resource, manifest)
            _Following(api, planned, kind, objects[-1], job.runtime).wait()
            exchange.take(job)
            finished = True
        finally:
            _clean_up(api, made)
            exchange.clear(keep_checkpoint=not finished)


def _kind(api: ClusterApi, runtime: Mapping[str, Any]) -> tuple[Kind, dict[str, Any]]:
    """Return what the workers shall be, and the cluster's runtime for a TrainJob."""
    asked: Literal["auto", "job", "trainjob", "tfjob"] = runtime.get("worker_kind") or "auto"
    if asked == "job" or asked == "tfjob":
        return asked, {}
    if asked not in {"auto", "trainjob"}:
        raise ComponentError(f"There are no workers of kind {asked!r}.", remedy="Choose auto, job, trainjob or tfjob.")
    try:
        return "trainjob", api.get(CLUSTER_RUNTIMES, RUNTIME_NAME)
    except ApiError as error:
        # 404: no operator, or not our runtime; 403: the role says nothing of it. A Job needs neither.
        if asked == "trainjob" or error.status not in {403, 404}:
            raise
    return "job", {}


def _check_shared(place: str, workers: Workers, kind: Kind) -> None:
    """Refuse a root that lies in the Trainer's pod alone."""
    if is_remote(place):
        return
    container = workers.pod(kind)["spec"]["containers"][0]
    for who, mounts in (
        ("the Trainer's pod", workers.own_mounts()),
        ("its workers", container["volumeMounts"]),
    ):
        paths = [each["mountPath"] for each in mounts if each["name"] != "tmp"]
        if not any(PurePosixPath(place).is_relative_to(path) for path in paths):
            raise ComponentError(
                f"The pipeline's root {place.partition('/multi-worker')[0]} is on no volume of {who}, and they would "
                "not see each other's files.",
                spec_path="resources.trainer.volumes",
                remedy="Use a root on s3:// or gs://, or mount a ReadWriteMany volume there in resources.default and "
                "resources.trainer.",
            )


@dataclass
class _Following:
    """Waits for the workers and passes on what they say."""

    api: ClusterApi
    workers: Workers
    kind: Kind
    main: tuple[Resource, dict[str, Any]]
    runtime: Mapping[str, Any]
    watches: dict[str, PodWatch] = field(default_factory=dict)
    told: str = ""

    def wait(self) -> None:
        """Return when all workers are done.

        Raises:
            ComponentError: one failed or cannot start, or the Job did.
        """
        deadline = time.monotonic() + float(self.runtime.get("worker_start_seconds") or START_SECONDS)
        end = float("inf")
        while True:
            pods = self.api.list(PODS, f"{LABEL}={self.workers.name}")
            failed, done = self._look(pods)
            if done >= set(range(self.workers.count)):
                return
            if failed:
                end = min(end, time.monotonic() + grace_seconds(failed))
                if time.monotonic() > end:
                    raise failure_of(failed, self.workers.count)
            else:
                self._refuse_failed_job()
                self._refuse_to_wait_for_ever(pods, deadline)
            time.sleep(POLL_SECONDS)

    def _look(self, pods: list[dict[str, Any]]) -> tuple[list[Any], set[int]]:
        """Read logs and states; return the workers that failed, first one first, and those that are done."""
        failed, done = [], set()
        for pod in pods:
            watch = self._watch(pod)
            if watch.has_started(pod):
                watch.read_log(self.api)
            watch.refuse_hopeless(pod)
            ended = watch.ended(pod)
            if ended is not None and ended.code == 0:
                done.add(watch.heard.index)
            elif ended is not None:
                failed.append((watch.when(pod), watch.name, ended))
        return [ended for _, _, ended in sorted(failed, key=lambda each: each[:2])], done

    def _watch(self, pod: Mapping[str, Any]) -> PodWatch:
        name = pod["metadata"]["name"]
        if name not in self.watches:
            heard = Heard(index_of(pod), f"pod {name}", self.runtime)
            self.watches[name] = PodWatch(name, CONTAINERS[self.kind], heard)
        return self.watches[name]

    def _refuse_failed_job(self) -> None:
        resource, manifest = self.main
        status = self.api.get(resource, manifest["metadata"]["name"]).get("status", {})
        for condition in status.get("conditions") or ():
            if condition["type"] == "Failed" and condition["status"] == "True":
                raise ComponentError(
                    f"{manifest['kind']} {self.workers.name} failed: {condition.get('reason', '')}: "
                    f"{condition.get('message', '')}",
                    spec_path="resources.trainer",
                    remedy="Run again: the training goes on after the last checkpoint.",
                )

    def _refuse_to_wait_for_ever(self, pods: list[dict[str, Any]], deadline: float) -> None:
        waiting = [why for pod in pods if (why := why_not_scheduled(pod))]
        missing = self.workers.count - len(pods)
        if not waiting and missing <= 0:
            return
        why = waiting[0] if waiting else f"{missing} pods were not made"
        text = f"waiting for room for {max(len(waiting), missing)} of {self.workers.count} workers: {why}"
        if text != self.told:
            self.told = text
            report(self.runtime, "Trainer", text)
        if time.monotonic() > deadline:
            raise ComponentError(
                f"The workers did not all start: {why}.",
                spec_path="resources.trainer",
                remedy="Choose another pool, ask for less, or free room there. "
                f"`kubectl describe job {self.workers.name}` says more while a run waits.",
            )


def _clean_up(api: ClusterApi, objects: list[tuple[Resource, dict[str, Any]]]) -> None:
    """Delete what was made; an error here must not hide the one that led here."""
    for resource, manifest in reversed(objects):
        try:
            api.delete(resource, manifest["metadata"]["name"])
        except ApiError as error:
            print(f"could not clean up: {error}", flush=True)  # noqa: T201 - standard output is the step's log


@contextlib.contextmanager
def _ended_by_signal() -> Iterator[None]:
    """Turn SIGTERM, with which a run is ended, into an exception, so that the workers end too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: Any) -> None:  # noqa: ARG001
        raise ComponentError("The run was ended from outside.", remedy="Run again: it goes on after the last epoch.")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
