"""Workers as processes of this machine, for local runs."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import components
from components.training.cluster import INDEX, JOB, Cluster
from components.training.exchange import Exchange
from components.training.job import Job
from components.training.launch.follow import Ended, Heard, failure_of, grace_seconds
from components.training.remote_checkpoint import RemoteCheckpoint

STOP_SECONDS = 10.0


@dataclass
class _Worker:
    process: subprocess.Popen[str]
    heard: Heard
    ended: Ended | None = None


def run(job: Job, workers: int) -> None:
    """Train in processes that read and write the Trainer's own folders.

    Raises:
        ComponentError: one of them failed.
    """
    with tempfile.TemporaryDirectory(prefix="sluice-workers-") as folder:
        Exchange(folder).offer_in_place(job)
        remote = RemoteCheckpoint.of(job)
        if remote is not None and job.checkpoint_folder is not None:
            # Before any worker looks: all must find the same.
            remote.fetch(job.checkpoint_folder)
        addresses = tuple(f"localhost:{port}" for port in free_ports(workers))
        started: list[_Worker] = []
        lines: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
        try:
            for index in range(workers):
                started.append(_start(Cluster(addresses, index), folder, job, lines))
            _follow(started, lines)
        finally:
            _stop(started)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on; all are held until the last is found, so that none comes twice."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _start(cluster: Cluster, folder: str, job: Job, lines: queue.SimpleQueue[tuple[int, str]]) -> _Worker:
    index, workers = cluster.index, len(cluster.addresses)
    code = str(Path(next(iter(components.__path__))).parent)
    environment = {
        # Each process would take all cores for itself otherwise, and they would wait for each other.
        "TF_NUM_INTRAOP_THREADS": str(max(1, (os.cpu_count() or 1) // workers)),
        **os.environ,
        **_gpus(index, workers),
        "PYTHONPATH": os.pathsep.join(filter(None, [code, os.environ.get("PYTHONPATH")])),
        "TF_CONFIG": cluster.tf_config(),
        INDEX: str(index),
        JOB: folder,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "components.training.worker", "--end-with-parent"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    threading.Thread(target=_read, args=(process, index, lines), daemon=True).start()
    return _Worker(process, Heard(index, f"process {process.pid}", job.runtime))


def _gpus(index: int, workers: int) -> dict[str, str]:
    """Share out the GPUs of this machine; where there are fewer than workers, all of them train on the CPU."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    devices = [each for each in given.split(",") if each not in {"", "-1"}] if given is not None else sorted(found)
    each = len(devices) // workers
    return {"CUDA_VISIBLE_DEVICES": ",".join(devices[index * each : (index + 1) * each]) or "-1"} if devices else {}


def _read(process: subprocess.Popen[str], index: int, lines: queue.SimpleQueue[tuple[int, str]]) -> None:
    for line in process.stdout or ():
        lines.put((index, line))


def _follow(workers: list[_Worker], lines: queue.SimpleQueue[tuple[int, str]]) -> None:
    """Return when all workers are done.

    Raises:
        ComponentError: one of them failed.
    """
    failed: list[Ended] = []
    deadline = float("inf")
    while time.monotonic() < deadline:
        _hear(workers, lines)
        for worker in workers:
            code = worker.process.poll()
            if code is not None and worker.ended is None:
                _hear(workers, lines)
                worker.ended = Ended(worker.heard, code)
                if code:
                    failed.append(worker.ended)
                    deadline = min(deadline, time.monotonic() + grace_seconds(failed))
        if all(worker.ended for worker in workers):
            break
    _hear(workers, lines)
    if failed:
        raise failure_of(failed, len(workers))


def _hear(workers: list[_Worker], lines: queue.SimpleQueue[tuple[int, str]]) -> None:
    """Take every line that has come, and wait a little for the first."""
    wait = 0.1
    while True:
        try:
            index, line = lines.get(timeout=wait)
        except queue.Empty:
            return
        workers[index].heard.take(line)
        wait = 0.0001


def _stop(workers: list[_Worker]) -> None:
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.terminate()
    for worker in workers:
        try:
            worker.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
        if worker.process.stdin is not None:
            worker.process.stdin.close()
