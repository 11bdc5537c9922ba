"""A Google Cloud Storage server on this machine (PyPI's gcp-storage-emulator)."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.factories.mariadb_server import free_port

PROGRAM = """
import sys
from gcp_storage_emulator.server import create_server
create_server("127.0.0.1", int(sys.argv[1]), in_memory=True, default_bucket="bucket").run()
"""


class GcsServer:
    """One server with one bucket, in a process of its own.

    Args:
        log: file for what it says.
    """

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        with log.open("ab") as file:
            self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(self.port)], stdout=file, stderr=file)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/storage/v1/b/bucket", timeout=5).close()
            except urllib.error.URLError:
                if self.process.poll() is not None:
                    raise RuntimeError(log.read_text()[-2000:]) from None
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("the GCS server did not answer within a minute")

    def stop(self) -> None:
        """End it; what it held is gone."""
        self.process.kill()
        self.process.wait()

    def url(self, prefix: str) -> str:
        """Return the address of a folder in the bucket."""
        return f"gs://bucket/{prefix}?endpoint_override=127.0.0.1:{self.port}&scheme=http&anonymous=true"
