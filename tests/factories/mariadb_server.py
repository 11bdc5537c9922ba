"""A real MariaDB server on a folder and a port of its own (Debian package `mariadb-server`), that can be restarted."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

USER, PASSWORD, DATABASE = "sluice", "s3cret-of-the-test", "sluice"


def free_port() -> int:
    """Return a port on the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(*names: str) -> str:
    """Return the first program that is installed; Debian keeps servers out of the path of ordinary users."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin"
    found = [where for name in names if (where := shutil.which(name, path=path))]
    if not found:
        raise RuntimeError(f"{names[0]} is not installed: apt-get install mariadb-server")
    return found[0]


class MariaDbServer:
    """One server; `start` and `stop` may be called many times.

    Args:
        folder: for its data, socket and log; short, since the path of a socket is.
        options: further options of the server.
    """

    def __init__(self, folder: Path, options: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.options = options
        self.port = free_port()
        self.socket = folder / "s"
        self.process: subprocess.Popen | None = None
        self._as_user = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run(
            [
                program("mariadb-install-db"),
                "--no-defaults",
                *self._as_user,
                f"--datadir={folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            capture_output=True,
        )
        self.start()
        self.sql(
            f"CREATE DATABASE {DATABASE}; CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';"
            f"GRANT ALL ON {DATABASE}.* TO '{USER}'@'%';"
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(
            [
                program("mariadbd", "mysqld"),
                "--no-defaults",
                *self._as_user,
                f"--datadir={self.folder / 'data'}",
                f"--socket={self.socket}",
                f"--port={self.port}",
                "--bind-address=127.0.0.1",
                f"--pid-file={self.folder / 'pid'}",
                f"--log-error={self.folder / 'log'}",
                "--innodb-buffer-pool-size=32M",
                "--skip-log-bin",
                *self.options,
            ]
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {(self.folder / 'log').read_text()[-2000:]}")
            if self._query("SELECT 1").returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("the server did not answer within a minute")

    def stop(self) -> None:
        """Stop it as a machine does that loses its power."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def sql(self, text: str) -> list[str]:
        """Run statements as the administrator; return the lines of the answer."""
        done = self._query(text)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.splitlines()

    def _query(self, text: str) -> subprocess.CompletedProcess[str]:
        command = [
            program("mariadb", "mysql"),
            "--no-defaults",
            f"--socket={self.socket}",
            "--user=root",
            "-N",
            "-e",
            text,
        ]
        return subprocess.run(command, capture_output=True, text=True)
