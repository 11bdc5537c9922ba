"""A real S3 server on this machine (moto's), and a connection to it that breaks when a test wants it to."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.factories.mariadb_server import free_port

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3Server:
    """One server with one bucket, in a process of its own; `start` and `stop` may be called many times.

    Args:
        log: file for what it says.
    """

    def __init__(self, log: Path) -> None:
        self.log = log
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        self.start()
        self.request("PUT", "bucket")

    def start(self) -> None:
        """Start it, empty but for what this object makes, and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-p", str(self.port)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(self.log.read_text()[-2000:]) from None
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("the S3 server did not answer within a minute")

    def stop(self) -> None:
        """End it; what it held is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def url(self, prefix: str, port: int | None = None) -> str:
        """Return the address of a folder in the bucket, through a proxy's port when given."""
        return f"s3://bucket/{prefix}?endpoint_override=127.0.0.1:{port or self.port}&scheme=http"

    def request(self, method: str, path: str) -> bytes:
        """Send a bare request."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  the scheme is written above
            return answer.read()


@dataclass
class Fault:
    """What breaks the connection.

    Args:
        request: pattern of the request line, such as `PUT /bucket/taxi/artifacts/`.
        after_bytes: how much of the request (`up`) or of the answer passes before.
        up: whether the way to the server is counted, or the way back.
        times: how often; for ever when negative.
        hits: how often it happened.
    """

    request: str
    after_bytes: int = 0
    up: bool = True
    times: int = -1
    hits: int = 0


class BreakingProxy:
    """Passes connections on to a server, and drops those that meet a fault.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.port = free_port()
        self.faults: list[Fault] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def add(self, fault: Fault) -> Fault:
        """Break connections from now on."""
        self.faults.append(fault)
        return fault

    def close(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self.port))
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
        except OSError:
            writer.transport.abort()
            return
        connection = _Connection(self.faults, (writer, far_writer))
        await asyncio.gather(
            connection.pass_on(reader, far_writer, up=True), connection.pass_on(far_reader, writer, up=False)
        )


class _Connection:
    def __init__(self, faults: list[Fault], writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self.faults, self.writers = faults, writers
        self.request = ""
        self.passed = {True: 0, False: 0}

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        try:
            while data := await reader.read(16384):
                if up and (line := re.match(rb"(GET|HEAD|PUT|POST|DELETE) \S+", data)):
                    self.request, self.passed = line.group().decode(), {True: 0, False: 0}
                self.passed[up] += len(data)
                if fault := self._met(up):
                    fault.hits += 1
                    for each in self.writers:
                        each.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
            writer.close()
        except (OSError, asyncio.CancelledError):
            for each in self.writers:
                each.transport.abort()

    def _met(self, up: bool) -> Fault | None:
        for fault in self.faults:
            due = fault.up == up and fault.times != fault.hits and self.passed[up] > fault.after_bytes
            if due and re.search(fault.request, self.request):
                return fault
        return None
