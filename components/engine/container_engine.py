"""Docker and podman: what a container of either is started with."""

from __future__ import annotations

import resource
import sys

ENGINES = ("docker", "podman")


def run_command(engine: str) -> list[str]:
    """Return the words that start a container.

    podman asks for a million open files whatever this machine allows, and then starts nothing where that is more than
    it may: it is told this process's own limit. Docker's daemon hands down its limits itself.

    Args:
        engine: `docker` or `podman`, or the path of one.
    """
    command = [engine, "run"]
    if engine.endswith("podman") and sys.platform == "linux":
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        command.append(f"--ulimit=nofile={files}:{files}")
    return command
