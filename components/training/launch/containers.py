"""Workers as containers of this machine's engine, on one network of their own, with names as pods have."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.engine.container_engine import ENGINES, run_command
from components.engine.storage import is_remote, join
from components.errors import ComponentError
from components.training.cluster import COMPLETION_INDEX, HOSTS, JOB, PORT, PORT_NAME, WORKERS
from components.training.exchange import Exchange
from components.training.job import Job
from components.training.launch.follow import Ended, Heard, failure_of, grace_seconds
from components.training.launch.manifests import COMMAND

READ_SECONDS = 2.0
POLL_SECONDS = 0.5


def run(job: Job, workers: int) -> None:
    """Train in containers of the step image.

    `runtime["worker_image"]` names the image; `container_engine` may name the engine, and `container_options` hold
    options of its `run` command.

    Raises:
        ComponentError: the engine refuses, or a worker failed; containers and network are removed.
    """
    engine = _Engine.of(job.runtime)
    key = str(job.runtime.get("trainer_key") or job.runtime["run_id"])
    place = join(str(job.runtime["root"]), "multi-worker", key)
    exchange = Exchange(place)
    name = f"sluice-train-{key[:10].lower()}-{uuid.uuid4().hex[:6]}"
    finished = False
    try:
        exchange.offer(job)
        engine.call("network", "create", name)
        started = [_start(engine, name, index, place, job) for index in range(workers)]
        _follow(engine, started)
        exchange.take(job)
        finished = True
    finally:
        for index in range(workers):
            engine.call("rm", "--force", f"{name}-{index}", check=False)
        engine.call("network", "rm", name, check=False)
        exchange.clear(keep_checkpoint=not finished)


@dataclass(frozen=True)
class _Engine:
    command: str
    image: str
    options: tuple[str, ...]

    @classmethod
    def of(cls, runtime: dict[str, Any]) -> _Engine:
        named = runtime.get("container_engine")
        command = named or next((each for each in ENGINES if shutil.which(each)), None)
        if command is None or not shutil.which(command):
            raise ComponentError(
                f"There is no container engine {named or 'docker or podman'} on this machine.",
                remedy="Install one, or leave the launcher out: workers then are processes.",
            )
        if not runtime.get("worker_image"):
            raise ComponentError("The image of the workers is not known.", remedy="Build it: sluice image build.")
        return cls(command, str(runtime["worker_image"]), tuple(runtime.get("container_options") or ()))

    def start(self, *arguments: str) -> None:
        self._do([*run_command(self.command), *arguments])

    def call(self, *arguments: str, check: bool = True) -> str:
        return self._do([self.command, *arguments], check=check)

    def _do(self, command: list[str], *, check: bool = True) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise ComponentError(
                f"`{' '.join(command[:3])}` failed: {done.stderr.strip() or done.stdout.strip()}",
                remedy="Check that the engine runs and that the image is there: sluice image build.",
            )
        return done.stdout.strip()


@dataclass
class _Container:
    name: str
    heard: Heard
    lines: queue.SimpleQueue[str]
    reader: threading.Thread
    ended: Ended | None = None

    def hear(self) -> None:
        while not self.lines.empty():
            self.heard.take(self.lines.get())


def _start(engine: _Engine, name: str, index: int, place: str, job: Job) -> _Container:
    """Start one worker; it learns who it is as it would from an indexed Job."""
    container = f"{name}-{index}"
    environment = {
        JOB: place,
        WORKERS: str(job.runtime["workers"]),
        COMPLETION_INDEX: str(index),
        HOSTS: f"{name}-{{index}}",
        PORT_NAME: str(PORT),
    }
    arguments = ["--detach", "--name", container, "--hostname", container, "--network", name]
    if not is_remote(place):
        root = str(Path(job.runtime["root"]).resolve())
        arguments += ["--volume", f"{root}:{job.runtime['root']}", "--user", f"{os.getuid()}:{os.getgid()}"]
    for variable, value in environment.items():
        arguments += ["--env", f"{variable}={value}"]
    engine.start(*arguments, "--entrypoint", "", *engine.options, engine.image, *COMMAND)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(engine.command, container, lines), daemon=True)
    reader.start()
    return _Container(container, Heard(index, f"container {container}", job.runtime), lines, reader)


def _read(engine: str, container: str, lines: queue.SimpleQueue[str]) -> None:
    command = [engine, "logs", "--follow", container]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            lines.put(line)


def _follow(engine: _Engine, containers: list[_Container]) -> None:
    failed: list[Ended] = []
    deadline = float("inf")
    while time.monotonic() < deadline and not all(each.ended for each in containers):
        for each in containers:
            each.hear()
            if each.ended is None:
                each.ended = _ended(engine, each)
                if each.ended is not None and each.ended.code:
                    failed.append(each.ended)
                    deadline = min(deadline, time.monotonic() + grace_seconds(failed))
        time.sleep(POLL_SECONDS)
    for each in containers:
        each.hear()
    if failed:
        raise failure_of(failed, len(containers))


def _ended(engine: _Engine, container: _Container) -> Ended | None:
    state = json.loads(engine.call("inspect", "--format", "{{json .State}}", container.name))
    if state.get("Running") or state.get("Status") in {"created", "running"}:
        return None
    container.reader.join(READ_SECONDS)
    container.hear()
    return Ended(container.heard, int(state["ExitCode"]), "OOMKilled" if state.get("OOMKilled") else "")
