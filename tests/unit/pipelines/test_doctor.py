"""`sluice doctor` says what is wrong with a machine and what to do, without loading anything heavy."""

from __future__ import annotations

import io
import socket
import subprocess
import sys

import pytest
from rich.console import Console

from pipelines import doctor
from pipelines.doctor import Check


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that puts a program on an otherwise empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def add(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return add


def test_this_machine_has_no_problem():
    assert [check for check in doctor.checks() if check.status == "problem"] == []


def test_whatever_is_not_ok_says_what_to_do(programs):
    for check in doctor.checks():
        assert check.detail
        assert check.status == "ok" or check.remedy, check


def test_it_loads_nothing_heavy_and_answers_within_two_seconds():
    code = (
        "import sys, time; start = time.perf_counter()\n"
        "from pipelines import doctor; doctor.checks()\n"
        "print(sorted({'tensorflow', 'tfx', 'apache_beam', 'keras', 'kfp', 'pandas'} & set(sys.modules)))\n"
        "print(time.process_time())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, processor_seconds = done.stdout.splitlines()
    assert heavy == "[]"
    assert float(processor_seconds) < 2


def test_a_wrong_python_is_a_problem(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    assert doctor.python_version().status == "problem"


@pytest.mark.parametrize(
    ("found", "status"),
    [(("glibc", "2.36"), "problem"), (("glibc", "2.39"), "ok"), (("glibc", "2.41"), "ok"), (("", ""), "problem")],
)
def test_an_old_c_library_is_a_problem(monkeypatch, found, status):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(doctor.platform, "libc_ver", lambda: found)
    check = doctor.c_library()
    assert check.status == status
    if status == "problem":
        assert "need glibc 2.39" in check.detail
        assert "scripts/bootstrap" in check.remedy


def test_missing_and_wrong_packages_are_named(monkeypatch):
    wanted = ["numpy<1", "surely-not-installed>=1", "pywin32; sys_platform == 'win32'"]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: wanted)
    check = doctor.packages()
    assert check.status == "problem"
    assert "surely-not-installed is missing" in check.detail
    assert "numpy is" in check.detail
    assert "pywin32" not in check.detail


def test_legacy_keras_is_pointed_out(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    assert "Keras 3" in doctor.environment().detail


@pytest.mark.parametrize(("free_gb", "status"), [(0.1, "problem"), (2, "warning"), (50, "ok")])
def test_little_disk_is_pointed_out(monkeypatch, free_gb, status):
    usage = type("Usage", (), {"free": free_gb * 1e9})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage)
    assert doctor.disk().status == status


def test_a_port_in_use_is_named(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(doctor, "SERVING_PORTS", {port: "REST"})
        check = doctor.serving_ports()
    assert check.status == "warning"
    assert f"{port} (REST) in use" in check.detail


def test_container_engines_are_asked_for_an_answer(programs):
    assert doctor.container_engine().detail == "neither docker nor podman"
    programs("docker", "exit 1")
    assert doctor.container_engine().detail == "docker is installed but does not answer"
    programs("podman", "echo 4.3.1")
    assert doctor.container_engine().detail == "podman 4.3.1"


def test_a_cluster_is_asked_for_an_answer(programs):
    assert doctor.cluster().detail.startswith("not configured")
    programs("kubectl", 'case "$1" in config) echo kind-sluice;; *) exit 1;; esac')
    assert doctor.cluster().detail == "kind-sluice does not answer"
    programs("kubectl", 'case "$1" in config) echo kind-sluice;; *) echo ok;; esac')
    assert doctor.cluster().detail == "kind-sluice answers"


def test_a_gpu_is_named(programs):
    programs("nvidia-smi", "echo 'NVIDIA H100 80GB HBM3, 81559 MiB'")
    assert doctor.gpu().detail == "NVIDIA H100 80GB HBM3, 81559 MiB"


def test_the_report_shows_each_check_its_remedy_and_the_verdict(monkeypatch):
    found = (lambda: Check("Disk", "ok", "50 GB"), lambda: Check("Python", "problem", "3.14", "use 3.11"))
    monkeypatch.setattr(doctor, "CHECKS", found)
    output = io.StringIO()
    assert doctor.doctor_report(Console(file=output, width=100)) == 1
    lines = [line.rstrip() for line in output.getvalue().splitlines()]
    assert lines == [
        "ok       Disk    50 GB",
        "problem  Python  3.14",
        "                 → use 3.11",
        "Sluice cannot run on this machine yet: 1 problem to solve first.",
    ]
