from __future__ import annotations

import resource

from components.engine.container_engine import run_command


def test_podman_gets_this_processes_limit_of_open_files_and_docker_asks_its_daemon():
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert run_command("/usr/bin/podman") == ["/usr/bin/podman", "run", f"--ulimit=nofile={files}:{files}"]
    assert run_command("docker") == ["docker", "run"]
