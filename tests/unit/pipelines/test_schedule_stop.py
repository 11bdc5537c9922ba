"""How a scheduled run is ended: by an interrupt, by another one when it was lost, by force."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pipelines.schedule import one_run

LOSES = """
import signal, time
left = {lost}
def heard(*_):
    global left
    if not left:
        raise KeyboardInterrupt
    left -= 1
    print("lost", flush=True)
signal.signal(signal.SIGINT, heard)
try:
    print("ready", flush=True)
    time.sleep(60)
finally:
    print("ended", flush=True)
"""


def stopped(lost: int) -> tuple[int, str]:
    """Return exit code and output of a process that does not hear so many interrupts."""
    command = [sys.executable, "-c", LOSES.format(lost=lost)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        one_run.stop(process)
        return process.returncode, process.stdout.read()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_run, "SECONDS_TO_STOP", 4.0)


def test_an_interrupt_that_was_lost_is_sent_again():
    assert stopped(lost=2) == (-signal.SIGINT, "lost\nlost\nended\n")


def test_a_run_that_never_listens_is_killed():
    assert stopped(lost=one_run.INTERRUPTS)[0] == -signal.SIGKILL
