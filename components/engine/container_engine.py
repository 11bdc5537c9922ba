"""Docker and podman: what a container of either is started with."""

from __future__ import annotations

import resource
import sys

ENGINES = ("docker", "podman")
LIMITS = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}


def run_command(engine: str) -> list[str]:
    """Return the words that start a container.

    podman asks for more open files than this machine may allow, and then starts nothing: it is told this process's own
    limits. Docker's daemon hands down its limits itself.

    Args:
        engine: `docker` or `podman`, or the path of one.
    """
    command = [engine, "run"]
    if not engine.endswith("podman") or sys.platform != "linux":
        return command
    for name, number in LIMITS.items():
        hard = resource.getrlimit(number)[1]
        command.append(f"--ulimit={name}={hard}:{hard}")
    return command
