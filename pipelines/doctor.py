"""What this machine lets Sluice do, and what to change where it does not; behind `sluice doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table
from rich.text import Text

Status = Literal["ok", "warning", "problem"]

PYTHON_FROM, PYTHON_BELOW = (3, 11), (3, 14)
GLIBC_NEEDED = (2, 39)
DISK_NEEDED_GB, DISK_ADVISED_GB = 0.5, 4.0
MEMORY_ADVISED_GB = 4.0
SERVING_PORTS = {8500: "gRPC", 8501: "REST"}
ANSWER_TIMEOUT_SECONDS = 1.5
MARKS = {"ok": "green", "warning": "yellow", "problem": "red"}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        name: what was looked at.
        status: `ok`; `warning` where something works less well or not at all that a local run can do without; `problem`
            where Sluice cannot run at all on this machine.
        detail: what was found.
        remedy: what to do about it; empty if there is nothing to do.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""


def python_version() -> Check:
    name, found = "Python", platform.python_version()
    if PYTHON_FROM <= sys.version_info[:2] < PYTHON_BELOW:
        return Check(name, "ok", found)
    return Check(name, "problem", f"{found}; TFX 1.21 has wheels for 3.11 to 3.13", "PYTHON=python3.11 make bootstrap")


def c_library() -> Check:
    name = "C library"
    if sys.platform == "darwin":
        return Check(name, "warning", "macOS: wheels exist, but Sluice is not tested on it")
    library, version = platform.libc_ver()
    needed = ".".join(map(str, GLIBC_NEEDED))
    if library == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= GLIBC_NEEDED:
        return Check(name, "ok", f"glibc {version}")
    return Check(
        name,
        "problem",
        f"{library or 'no glibc'} {version}".strip() + f"; the wheels of TFX 1.21 need glibc {needed}",
        "Run scripts/bootstrap: on Debian it brings a newer one for .venv alone. Elsewhere use the container image.",
    )


def packages() -> Check:
    name = "Packages"
    try:
        wanted = [Requirement(line) for line in importlib.metadata.requires("sluice") or []]
    except importlib.metadata.PackageNotFoundError:
        return Check(name, "problem", "Sluice is not installed in this Python", "Run scripts/bootstrap.")
    wanted = [requirement for requirement in wanted if requirement.marker is None or requirement.marker.evaluate()]
    wrong = []
    for requirement in wanted:
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    if wrong:
        remedy = "Remove .venv and run scripts/bootstrap."
        return Check(name, "problem", "; ".join(wrong[:3]) + ("; …" if len(wrong) > 3 else ""), remedy)
    return Check(name, "ok", f"all {len(wanted)} direct dependencies in {sys.prefix}")


def environment() -> Check:
    name = "Environment"
    if os.environ.get("TF_USE_LEGACY_KERAS", "0").lower() in ("1", "true"):
        return Check(name, "warning", "TF_USE_LEGACY_KERAS is set; Sluice uses Keras 3", "unset TF_USE_LEGACY_KERAS")
    if sys.dont_write_bytecode:
        detail = "PYTHONDONTWRITEBYTECODE is set: code that is not compiled yet loads about three times slower"
        return Check(name, "warning", detail, "unset PYTHONDONTWRITEBYTECODE")
    return Check(name, "ok", "no variable in the way")


def disk() -> Check:
    name, folder = "Disk", Path.cwd()
    free = shutil.disk_usage(folder).free / 1e9
    if not os.access(folder, os.W_OK):
        return Check(name, "problem", f"cannot write to {folder}", "Call sluice in a folder of your own.")
    detail = f"{free:.1f} GB free in {folder}"
    if free < DISK_ADVISED_GB:
        status: Status = "problem" if free < DISK_NEEDED_GB else "warning"
        return Check(name, status, detail, f"Have {DISK_ADVISED_GB:.0f} GB free, or call sluice on another disk.")
    return Check(name, "ok", detail)


def memory() -> Check:
    memory = psutil.virtual_memory()
    detail = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available"
    if memory.available / 1e9 < MEMORY_ADVISED_GB:
        return Check(
            "Memory", "warning", detail, f"Loading TFX takes 1.2 GB; have {MEMORY_ADVISED_GB:.0f} GB available."
        )
    return Check("Memory", "ok", detail)


def processors() -> Check:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check("Processors", "ok", f"{count} × {platform.machine()}")


def gpu() -> Check:
    name = "GPU"
    if cards := answer("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"):
        return Check(name, "ok", "; ".join(cards.splitlines()))
    if Path("/proc/driver/nvidia/version").exists():
        return Check(
            name, "warning", "the NVIDIA driver is loaded, but nvidia-smi does not answer", "Check the driver."
        )
    return Check(name, "ok", "none; training runs on the CPU")


def container_engine() -> Check:
    name = "Containers"
    silent = []
    for engine, template in (("docker", "{{.Server.Version}}"), ("podman", "{{.Client.Version}}")):
        if shutil.which(engine) is None:
            continue
        if version := answer(engine, "version", "--format", template):
            return Check(name, "ok", f"{engine} {version}")
        silent.append(engine)
    if silent:
        remedy = f"Start it, or see what `{silent[0]} version` says. Only the docker runner and the images need it."
        return Check(name, "warning", f"{silent[0]} is installed but does not answer", remedy)
    return Check(name, "warning", "neither docker nor podman", "Install one to use the docker runner or build images.")


def serving_ports() -> Check:
    name, taken = "Serving ports", []
    for port, protocol in SERVING_PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.append(f"{port} ({protocol})")
    if taken:
        return Check(name, "warning", f"{' and '.join(taken)} in use", "Stop what uses it, or serve on another port.")
    return Check(name, "ok", " and ".join(f"{port} ({protocol})" for port, protocol in SERVING_PORTS.items()) + " free")


def cluster() -> Check:
    name, absent = "Cluster", "not configured; only the kubeflow runner needs it"
    if shutil.which("kubectl") is None:
        return Check(name, "ok", absent)
    context = answer("kubectl", "config", "current-context")
    if not context:
        return Check(name, "ok", absent)
    if answer("kubectl", "get", "--raw", "/readyz", "--request-timeout=1s"):
        return Check(name, "ok", f"{context} answers")
    return Check(name, "warning", f"{context} does not answer", "See what `kubectl get nodes` says.")


def browser() -> Check:
    for program in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(program):
            return Check("Browser", "ok", program)
    return Check("Browser", "warning", "no chromium", "apt-get install chromium; only tests of the report need it.")


CHECKS: tuple[Callable[[], Check], ...] = (
    python_version,
    c_library,
    packages,
    environment,
    disk,
    memory,
    processors,
    gpu,
    container_engine,
    serving_ports,
    cluster,
    browser,
)


def answer(*command: str) -> str | None:
    """Return what a command prints, or nothing if it is absent, fails or takes too long."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=ANSWER_TIMEOUT_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def checks() -> list[Check]:
    """Look at everything, at once since some answers are slow to come, and return the findings in a fixed order."""
    with ThreadPoolExecutor(len(CHECKS)) as pool:
        return list(pool.map(lambda check: check(), CHECKS))


def render(console: Console, found: list[Check] | None = None) -> None:
    """Print a line for each check, what to do beneath it where there is something to do, and a verdict."""
    found = checks() if found is None else found
    table = Table.grid(padding=(0, 2))
    for check in found:
        detail = Text(check.detail)
        if check.remedy and check.status != "ok":
            detail.append(f"\n→ {check.remedy}")
        table.add_row(Text(check.status, style=MARKS[check.status]), Text(check.name), detail)
    console.print(table)
    problems = sum(check.status == "problem" for check in found)
    verdict = "Sluice runs on this machine."
    if problems:
        plural = "s" if problems > 1 else ""
        verdict = f"Sluice cannot run on this machine yet: {problems} problem{plural} to solve first."
    console.print(Text(verdict))


def doctor_report(console: Console) -> int:
    """Print the findings and return the exit code: 0, or 1 where Sluice cannot run."""
    found = checks()
    render(console, found)
    return int(any(check.status == "problem" for check in found))
