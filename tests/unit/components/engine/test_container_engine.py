"""The words that start a container."""

from __future__ import annotations

import resource

from components.engine.container_engine import run_command


def test_podman_gets_limits_that_it_may_set_and_docker_asks_its_daemon():
    files, processes = (resource.getrlimit(each)[1] for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
    assert run_command("/usr/bin/podman")[:3] == ["/usr/bin/podman", "run", f"--ulimit=nofile={files}:{files}"]
    (allowed,) = (int(word.rsplit(":", 1)[1]) for word in run_command("podman") if "nproc" in word)
    assert 0 < allowed <= processes
    assert run_command("docker") == ["docker", "run"]
