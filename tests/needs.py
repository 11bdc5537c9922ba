"""What some tests need beyond a Python: programs that `.ci/run` installs and a newcomer's machine may lack."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from components.errors import SpecError
from pipelines import image as images

HERE = Path(__file__).parent
TOOLS = HERE.parent / ".runtime" / "kubernetes"


@dataclass(frozen=True)
class Need:
    """Something outside Python.

    Args:
        name: what it is.
        tests: paths below `tests/` that need it; a folder stands for all in it.
        there: whether this machine has it.
        remedy: the command that brings it.
    """

    name: str
    tests: tuple[str, ...]
    there: Callable[[], bool]
    remedy: str

    def is_of(self, test: Path) -> bool:
        """Return True when a test file needs it."""
        return any(test.is_relative_to(HERE / each) for each in self.tests)


def _engine() -> bool:
    try:
        images.container_engine()
    except SpecError:
        return False
    return True


def _docker() -> bool:
    return shutil.which("docker") is not None and images.answers("docker")


def _go() -> bool:
    go = shutil.which("go", path="/usr/local/go/bin") or shutil.which("go")
    return go is not None and subprocess.run([go, "version"], capture_output=True, check=False).returncode == 0


def _postgres() -> bool:
    return bool(shutil.which("initdb")) or any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


NEEDS = (
    Need("a container engine", ("containers",), _engine, "scripts/container_engine && scripts/base_image"),
    Need(
        "Docker: kfp.local knows no other engine",
        ("containers/test_kfp_local.py",),
        _docker,
        "scripts/container_engine",
    ),
    Need("Kubernetes tools", ("unit/k8s",), lambda: (TOOLS / "bin" / "kubectl").is_file(), "scripts/kubernetes_tools"),
    Need("Go", ("integration/test_kubeflow_backend.py",), _go, "install Go 1.26 or newer"),
    Need(
        "MariaDB",
        ("integration/test_mysql_metadata.py",),
        lambda: any(shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin") for name in ("mariadbd", "mysqld")),
        "apt-get install mariadb-server",
    ),
    Need(
        "PostgreSQL",
        ("integration/test_postgres_input.py", "containers/test_docker_runner.py"),
        _postgres,
        "apt-get install postgresql",
    ),
    Need("Chromium", ("e2e/test_report_page.py",), lambda: bool(shutil.which("chromium")), "apt-get install chromium"),
)


def missing(tests: set[Path]) -> list[Need]:
    """Return what the tests need and this machine lacks."""
    return [need for need in NEEDS if any(need.is_of(test) for test in tests) and not need.there()]
