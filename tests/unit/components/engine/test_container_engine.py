from __future__ import annotations

import resource

from components.engine.container_engine import run_command


def test_podman_gets_this_processes_limits_and_docker_asks_its_daemon():
    words = run_command("/usr/bin/podman")
    assert words[:2] == ["/usr/bin/podman", "run"]
    files, processes = (resource.getrlimit(each)[1] for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
    assert words[2:] == [f"--ulimit=nofile={files}:{files}", f"--ulimit=nproc={processes}:{processes}"]
    assert run_command("docker") == ["docker", "run"]
