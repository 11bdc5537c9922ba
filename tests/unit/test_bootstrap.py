"""`scripts/bootstrap` chooses the right way for a machine, says why where there is none, and does nothing twice."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BOOTSTRAP = REPOSITORY / "scripts" / "bootstrap"
LOCKS = ("requirements.lock", "requirements-dev.lock")

DEBIAN_12 = "ID=debian\nVERSION_CODENAME=bookworm\n"
DEB822 = """\
Types: deb
URIs: mirror://one/debian-security
Suites: bookworm-security
Components: main

Types: deb
# a comment
URIs: mirror://two/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
ONE_LINE = "deb [arch=amd64 signed-by=/etc/key.gpg] mirror://three/debian bookworm main contrib\n"


@pytest.fixture
def machine(tmp_path):
    """Return a function that asks bootstrap what it would do on a described machine."""

    def plan(*, os_release: str = DEBIAN_12, sources: dict[str, str] | None = None, **facts: str):
        apt = tmp_path / "apt"
        (apt / "sources.list.d").mkdir(parents=True)
        for name, text in (sources or {}).items():
            (apt / name).write_text(text)
        (tmp_path / "os-release").write_text(os_release)
        variables = {
            "SLUICE_SYSTEM": "Linux",
            "SLUICE_MACHINE": "x86_64",
            "SLUICE_APT_FOLDER": str(apt),
            "SLUICE_OS_RELEASE": str(tmp_path / "os-release"),
        }
        environment = {**os.environ, **variables, **facts}
        return subprocess.run([BOOTSTRAP, "--plan"], env=environment, capture_output=True, text=True)

    return plan


@pytest.mark.parametrize("glibc", ["2.39", "2.41", "2.100"])
def test_a_new_enough_glibc_gets_a_plain_virtualenv(machine, glibc):
    done = machine(SLUICE_GLIBC=glibc)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("way: plain\n")


@pytest.mark.parametrize(
    "sources", [{"sources.list.d/debian.sources": DEB822}, {"sources.list": ONE_LINE}], ids=["deb822", "one-line"]
)
def test_an_older_debian_takes_the_c_library_of_a_newer_one(machine, sources):
    done = machine(SLUICE_GLIBC="2.36", sources=sources)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("way: donor\n")


def test_ubuntu_22_is_told_why_it_cannot_work_and_what_to_do(machine):
    ubuntu = "ID=ubuntu\nVERSION_CODENAME=jammy\n"
    done = machine(
        SLUICE_GLIBC="2.35", os_release=ubuntu, sources={"sources.list": "deb mirror://u/ubuntu jammy main\n"}
    )
    assert done.returncode == 1
    assert "need glibc 2.39, this machine has 2.35" in done.stderr
    assert "container image" in done.stderr
    assert "Ubuntu 24.04" in done.stderr
    assert len(done.stderr.splitlines()) <= 5


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"SLUICE_GLIBC": ""}, "has no glibc"),
        ({"SLUICE_MACHINE": "aarch64"}, "no wheels for Linux on aarch64"),
        ({"SLUICE_SYSTEM": "FreeBSD"}, "no wheels for FreeBSD"),
        (
            {"SLUICE_GLIBC": "2.41", "PYTHON": "no-such-python"},
            "PYTHON=no-such-python is not a Python 3.11, 3.12 or 3.13",
        ),
        ({"SLUICE_GLIBC": "2.36"}, "apt has no Debian mirror"),
    ],
)
def test_a_machine_that_cannot_work_is_told_what_to_do(machine, facts, message):
    done = machine(**facts)
    assert done.returncode == 1
    assert message in done.stderr
    assert "What to do" in done.stderr


def test_a_second_call_does_nothing():
    if not (REPOSITORY / ".venv" / ".sluice-stamp").exists():
        pytest.fail("these tests run in the .venv that scripts/bootstrap makes: run `make test`")
    subprocess.run([BOOTSTRAP], check=True, capture_output=True)
    before = (REPOSITORY / ".venv" / ".sluice-stamp").stat().st_mtime_ns
    start = time.perf_counter()
    done = subprocess.run([BOOTSTRAP], check=True, capture_output=True, text=True)
    assert done.stdout == ""
    assert time.perf_counter() - start < 5
    assert (REPOSITORY / ".venv" / ".sluice-stamp").stat().st_mtime_ns == before


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_pins_everything_by_hash_and_names_no_place(lock):
    text = (REPOSITORY / lock).read_text()
    assert not re.search(r"https?:|file:|(^|\s)--?(index|extra|find)|(^|\s)/", text, re.MULTILINE)
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_lock_for_tests_holds_the_same_versions_as_the_one_for_running():
    runtime, development = (
        set(re.findall(r"^\S+==\S+", (REPOSITORY / lock).read_text(), re.MULTILINE)) for lock in LOCKS
    )
    assert runtime <= development
