"""A real PostgreSQL server on a folder and a port of its own (Debian package `postgresql`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.factories.mariadb_server import free_port

USER, PASSWORD, DATABASE = "sluice", "s3cret-of-the-test", "rows"


def program(name: str) -> str:
    """Return a program of the server, of its newest version; Debian keeps them out of everybody's path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    found = shutil.which(name, path=":".join([*map(str, folders), os.environ.get("PATH", "")]))
    if found is None:
        raise RuntimeError(f"{name} is not installed: apt-get install postgresql")
    return found


class PostgresServer:
    """One server that lets nobody in without a password.

    Args:
        folder: for its data, socket and log; short, since the path of a socket is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        secret = folder / "secret"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:  # the server refuses to run as root
            for place in (folder, secret):
                shutil.chown(place, "postgres", "postgres")
        data = folder / "data"
        options = ("--no-sync", "--auth=scram-sha-256", f"--username={USER}", f"--pwfile={secret}", "--locale=C.UTF-8")
        self._run(program("initdb"), *options, f"--pgdata={data}")
        settings = f"-p {self.port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run(program("pg_ctl"), "start", "-w", "-D", str(data), "-o", settings, "-l", str(folder / "log"))
        self.sql(f"CREATE DATABASE {DATABASE}", "postgres")

    @property
    def url(self) -> str:
        """The address of the database for `data.path`; the password is not in it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def sql(self, text: str, database: str = DATABASE) -> list[str]:
        """Run statements; return the lines of the answer."""
        where = ("--host=127.0.0.1", f"--port={self.port}", f"--username={USER}", f"--dbname={database}")
        done = subprocess.run(
            [program("psql"), "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", *where],
            input=text, capture_output=True, text=True, check=False, env={**os.environ, "PGPASSWORD": PASSWORD},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.splitlines()

    def stop(self) -> None:
        """Stop it and end all connections."""
        self._run(program("pg_ctl"), "stop", "-m", "immediate", "-D", str(self.folder / "data"))

    def _run(self, *command: str) -> None:
        lower = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
        # to a file: a server that is left running would keep a pipe open
        with (self.folder.parent / f"{self.folder.name}.out").open("a") as output:
            subprocess.run([*lower, *command], check=True, stdout=output, stderr=output, cwd="/")


@contextmanager
def running() -> Iterator[PostgresServer]:
    """Run a server in a folder of its own, and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="pg") as parent:
        os.chmod(parent, 0o755)  # noqa: S103 - the server is another user
        folder = Path(parent, "s")
        folder.mkdir()
        server = PostgresServer(folder)
        try:
            yield server
        finally:
            server.stop()
