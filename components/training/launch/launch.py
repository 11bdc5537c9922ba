"""The Trainer's part in a training of several workers: start them where the run takes place, and wait."""

from __future__ import annotations

import importlib
import os
from typing import Any

from components import catalog
from components.engine.progress import report
from components.errors import ComponentError
from components.training.job import Job

LAUNCHERS = ("processes", "containers", "kubernetes")
"""Modules beside this one; each has `run(job, workers)`."""


def launch(job: Job) -> None:
    """Train in several workers; the chief's model ends where the Trainer's outputs belong.

    `runtime["workers"]` says how many, `runtime["launcher"]` where: `processes` on this machine, `containers` of a
    container engine on this machine, or pods on `kubernetes`. Where there is no Kubernetes, they are processes.

    Raises:
        ComponentError: they cannot be started, or one of them failed; the others are stopped.
    """
    workers = _workers(job.runtime)
    batch_size = int(job.config["training"]["batch_size"])
    if job.config["training"].get("per_replica_batch_size") is None and batch_size % workers:
        nearest = max(1, round(batch_size / workers)) * workers
        raise ComponentError(
            f"A batch of {batch_size} rows cannot be shared equally by {workers} workers.",
            spec_path="training.batch_size",
            remedy=f"Set it to {nearest}.",
        )
    name = job.runtime.get("launcher") or "processes"
    if name not in LAUNCHERS:
        guess = catalog.nearest(name, list(LAUNCHERS))
        raise ComponentError(
            f"There is no launcher {name!r} of workers; there are {', '.join(LAUNCHERS)}.",
            remedy=f"Did you mean {guess!r}?" if guess else "",
        )
    if name == "kubernetes" and "KUBERNETES_SERVICE_HOST" not in os.environ:
        # A compiled pipeline says kubernetes; run in containers of one machine, its workers are processes there.
        name = "processes"
    report(job.runtime, "Trainer", f"starting {workers} workers ({name})")
    importlib.import_module(f"components.training.launch.{name}").run(job, workers)


def _workers(runtime: dict[str, Any]) -> int:
    workers = int(runtime.get("workers") or 1)
    if workers < 2:
        raise ComponentError(
            "Strategy multi_worker has one worker only, which is slower than training without it and brings nothing.",
            spec_path="training.strategy",
            remedy="Set training.strategy to auto, or resources.trainer.workers to 2 or more.",
        )
    return workers
