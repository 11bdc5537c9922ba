"""One container: start it, listen to it, clear away what killed runs left behind."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

from components.engine.container_engine import run_command
from components.engine.progress import event_of
from components.errors import ComponentError
from pipelines.runners.runner import Watcher

LABEL = "sluice.root"
"""Label of the containers of a pipeline, with its folder."""
LAST_LINES = 40
"""How much of a failed container's output its error shows at most."""


@dataclass(frozen=True)
class Containers:
    """How containers are started on this machine.

    Args:
        engine: the program, `docker` or `podman`.
        image: of every step.
        network: of the containers; `none` proves that steps need nothing from outside.
    """

    engine: str
    image: str
    network: str | None = None


def run_container(engine: str, command: list[str], watcher: Watcher, node: str) -> None:
    """Run a container to its end; its output goes to the log, its progress to the watcher.

    Args:
        engine: `docker` or `podman`.
        command: options, image and what runs in it.
        watcher: is told the progress.
        node: the step, for messages.

    Raises:
        ComponentError: it ended with an error; with the cause that the step told, or its last words.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    failure: dict[str, Any] = {}
    with subprocess.Popen(
        [*run_command(engine), *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        for line in process.stdout:
            sys.stdout.write(line)  # to the log, while a run goes on
            event = event_of(line)
            if progress := event.get("progress"):
                watcher.progress(node, progress["text"], progress["done"], progress["total"])
            failure = event.get("failure", failure)
            if not event:
                last.append(line)
    if process.returncode == 0:
        return
    if failure:
        raise ComponentError(failure["message"], spec_path=failure["spec_path"], remedy=failure["remedy"])
    words = "".join(last).strip() or "it said nothing"
    killed = " It was killed, perhaps for want of memory." if process.returncode == 137 else ""
    raise ComponentError(
        f"The container of {node} ended with code {process.returncode}.{killed} Its last words: {words[-1500:]}",
        remedy="Look at the log; `sluice doctor` checks the container engine.",
    )


def remove_containers(engine: str, label: str) -> None:
    """Stop and remove the containers that have a label."""
    listed = subprocess.run(
        [engine, "ps", "--all", "--quiet", "--filter", f"label={label}"], capture_output=True, text=True
    )
    if found := listed.stdout.split():
        subprocess.run([engine, "rm", "--force", *found], capture_output=True)
