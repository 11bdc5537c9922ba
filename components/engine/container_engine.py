"""Docker and podman: what a container of either is started with."""

from __future__ import annotations

import resource
import sys

ENGINES = ("docker", "podman")
PODMANS_PROCESSES = 32_768
"""podman's own limit of processes, which its containers cannot exceed."""


def run_command(engine: str) -> list[str]:
    """Return the words that start a container.

    podman asks for a million open files and more processes than it lets itself have, and then starts nothing where it
    may not raise limits: it is told this process's own. Docker's daemon hands down its limits itself.

    Args:
        engine: `docker` or `podman`, or the path of one.
    """
    command = [engine, "run"]
    if engine.endswith("podman") and sys.platform == "linux":
        files, processes = (resource.getrlimit(each)[1] for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
        processes = PODMANS_PROCESSES if processes == resource.RLIM_INFINITY else min(processes, PODMANS_PROCESSES)
        command += [f"--ulimit=nofile={files}:{files}", f"--ulimit=nproc={processes}:{processes}"]
    return command
