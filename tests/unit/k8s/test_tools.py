"""scripts/kubernetes_tools installs what it names, and says what to do when it cannot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.unit.k8s.manifests import REPOSITORY, TOOLS, tool

SCRIPT = REPOSITORY / "scripts" / "kubernetes_tools"


def called(script: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Call the script."""
    environment = dict(os.environ) if path is None else {"PATH": path, "HOME": "/tmp"}
    bash = shutil.which("bash") or "bash"
    command = [bash, str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_lock_holds_the_versions_that_the_script_names() -> None:
    named = re.search(r'^wanted_packages="(.+)"$', SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    locked = SCRIPT.with_suffix(".lock").read_text(encoding="utf-8").splitlines()
    assert set(named[1].split()) <= set(locked)
    assert all(re.fullmatch(r"#.*|[\w.-]+==[\w.]+( ;.*)?", line) for line in locked)


def test_the_tools_of_the_tests_are_what_it_installs() -> None:
    assert Path(tool("checkov")).exists()
    listed = re.findall(
        r"(?:trainer\.|kubeflow|serving|monitoring|external)[\w.-]+_\w+\.yaml", SCRIPT.read_text("utf-8")
    )
    installed = {file.name.split("-", 1)[1] for file in (TOOLS / "crds").iterdir()}
    assert installed == set(listed)


def test_an_unknown_argument_is_refused() -> None:
    done = called(SCRIPT, "--please")
    assert done.returncode == 1
    assert done.stderr == "kubernetes_tools: unknown argument --please\n  What to do: call it with nothing or --lock\n"


def test_without_uv_it_says_where_to_get_it(tmp_path: Path) -> None:
    copy = tmp_path / "scripts" / SCRIPT.name
    copy.parent.mkdir()
    shutil.copy(SCRIPT, copy)
    (tmp_path / "bin").mkdir()
    for name in ("dirname", "pwd"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    done = called(copy, path=str(tmp_path / "bin"))
    assert done.returncode == 1
    assert "found no uv" in done.stderr
    assert "call scripts/bootstrap first" in done.stderr
