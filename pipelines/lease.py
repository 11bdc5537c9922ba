"""One run at a time on a remote root: a claim in the bucket, renewed as long as its run lives.

A bucket has no locks. A run writes its own claim and then lists all claims: of two that write at the same time, the one
that lists later sees the other, whatever the clocks say, since S3 and Google Cloud Storage show every finished write to
every later listing. It may be that both step back; they then try again after a while of their own. Ages are told by the
store's clock alone. What this cannot stop is a run that was frozen for longer than a lease and wakes up between its
last look at the claim and the write behind it; that look comes before each component's record.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import socket
import threading
import time
import uuid
from typing import Any

from components.engine.storage import RemoteFile, RemoteFolder, StorageError
from components.errors import Problem, SpecError

FOLDER = "lock"
LEASE_SECONDS = 120.0
RENEW_SECONDS = 20.0
CLAIM_TRIES = 6
POLL_SECONDS = 2.0


class Lease:
    """The right to run on a remote root.

    Args:
        remote: the root.
    """

    def __init__(self, remote: RemoteFolder) -> None:
        self.remote = remote
        self.token = uuid.uuid4().hex
        self.holder: dict[str, Any] = {"run_id": "", "held": False, "pid": os.getpid(), **_this_machine()}
        self._lost = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def _own(self) -> str:
        return f"{FOLDER}/{self.token}.json"

    def acquire(self, run_id: str, *, wait: bool = False) -> None:
        """Hold the root, or say who does.

        Raises:
            SpecError: another run holds it and `wait` is false.
            StorageError: the root cannot be reached.
        """
        self.holder["run_id"] = run_id
        tries = 0
        while other := self._claim():
            tries += 1
            if not other.get("held") and tries < CLAIM_TRIES:
                time.sleep(random.uniform(0.1, 1.0) * tries)  # noqa: S311  nobody guesses it
            elif wait:
                time.sleep(POLL_SECONDS)
            else:
                raise SpecError([self._refusal(other)])
        self.holder["held"] = True
        self._write()
        self._thread = threading.Thread(target=self._renew, name="sluice-lease", daemon=True)
        self._thread.start()

    def name(self, run_id: str) -> None:
        """Say which run holds the root."""
        self.holder["run_id"] = run_id
        self._write()

    def check(self) -> None:
        """Make sure that the root is still held.

        Raises:
            StorageError: another run took it, since nothing was heard of this one for too long.
        """
        if self._lost or self.remote.find(self._own) is None:
            raise StorageError(
                f"This run no longer holds {self.remote}: nothing was heard of it for more than {LEASE_SECONDS:.0f} s, "
                "so another run may have taken over.",
                remedy="Run again when the other one has ended; what was finished is kept.",
            )

    def release(self) -> None:
        """Let others run; a claim that cannot be deleted now runs out by itself."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(StorageError):
            self.remote.delete(self._own)

    def _write(self) -> None:
        self.remote.write(self._own, json.dumps(self.holder).encode())

    def _claim(self) -> dict[str, Any] | None:
        """Write the claim; return another live one and take the own one back when there is one."""
        self._write()
        try:
            other = self._other()
        except BaseException:
            with contextlib.suppress(StorageError):
                self.remote.delete(self._own)
            raise
        if other is not None:
            self.remote.delete(self._own)
        return other

    def _other(self) -> dict[str, Any] | None:
        claims = self.remote.files(FOLDER)
        now = next((claim.changed_ns for claim in claims if claim.name == self._own), 0)
        for claim in claims:
            if claim.name != self._own and (content := self._live(claim, now)):
                return content
        return None

    def _live(self, claim: RemoteFile, now_ns: int) -> dict[str, Any] | None:
        text = self.remote.read(claim.name)
        if text is None:
            return None
        content: dict[str, Any] = json.loads(text)
        silent = max(0.0, (now_ns - claim.changed_ns) / 1e9)
        if silent > LEASE_SECONDS or _is_dead_here(content):
            self.remote.delete(claim.name)
            return None
        return content | {"silent": silent}

    def _renew(self) -> None:
        while not self._stop.wait(RENEW_SECONDS):
            try:
                if self.remote.find(self._own) is None:
                    self._lost = True
                    return
                self._write()
            except StorageError:
                logging.getLogger("sluice").warning("the claim on %s could not be renewed", self.remote, exc_info=True)

    def _refusal(self, other: dict[str, Any]) -> Problem:
        runs_out = max(1, round(LEASE_SECONDS - other["silent"]))
        return Problem(
            "run",
            f"a second run of {self.remote}",
            f"one run at a time: run {other['run_id']} (process {other['pid']} on {other['host']}) is working on it",
            f"Wait (`--wait` does), or give this run its own --root. If that one died, try again in {runs_out} s.",
        )


def _this_machine() -> dict[str, str]:
    """Return what tells whether another process id can be looked up here: host, boot and space of process ids."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return {"host": socket.gethostname(), "machine": f"{boot}/{os.readlink('/proc/self/ns/pid')}"}
    except OSError:
        return {"host": socket.gethostname(), "machine": ""}


def _is_dead_here(content: dict[str, Any]) -> bool:
    if not content["machine"] or content["machine"] != _this_machine()["machine"]:
        return False
    return not os.path.exists(f"/proc/{content['pid']}")
