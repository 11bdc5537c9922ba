"""A process that speaks to a MySQL server through ML Metadata's client, and is alone when that client crashes.

The client (ml-metadata 1.21) may end its process with a segmentation fault when the connection is lost within a call.
Run as a program it serves its standard input and output; nothing of Sluice is imported there.
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from typing import Any, BinaryIO


class ProcessDiedError(RuntimeError):
    """The process ended within a call; whether the server carried the call out is not known."""


class MetadataProcess:
    """Starts the process when it is first needed, and again when it has died.

    Args:
        config: serialized `metadata_store_pb2.ConnectionConfig`; it goes through a pipe, since it holds a password.
    """

    def __init__(self, config: bytes) -> None:
        self.config = config
        self._process: subprocess.Popen[bytes] | None = None
        self._connected = False

    def connect(self) -> None:
        """Open a new connection.

        Raises:
            RuntimeError: the server does not let it in.
        """
        self._connected = False
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = subprocess.Popen(
                [sys.executable, os.path.abspath(__file__)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        problem = self._ask(("connect", self.config))
        if problem is not None:
            raise RuntimeError(problem)
        self._connected = True

    def call(self, method: str, request: bytes) -> tuple[bytes, bytes, int]:
        """Call a method of the store; return its response, what went wrong, and a status code, 0 for success.

        Raises:
            ProcessDiedError: the client crashed.
        """
        if not self._connected:
            self.connect()
        return self._ask(("call", method, request))

    def disconnect(self) -> None:
        """Forget the connection; the next call opens another one."""
        self._connected = False

    def close(self) -> None:
        """End the process."""
        self._connected = False
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, question: tuple[Any, ...]) -> Any:
        assert self._process is not None  # noqa: S101  connect made it
        try:
            _send(self._process.stdin, question)
            return _receive(self._process.stdout)
        except (OSError, EOFError) as error:
            code = self._process.poll()
            self.close()
            raise ProcessDiedError(f"ML Metadata's client crashed (exit {code})") from error
        except BaseException:
            self.close()  # its answer would be taken for that of the next call
            raise


def _send(pipe: Any, message: Any) -> None:
    content = pickle.dumps(message)
    pipe.write(struct.pack("<Q", len(content)) + content)
    pipe.flush()


def _receive(pipe: Any) -> Any:
    (size,) = struct.unpack("<Q", _exactly(pipe, 8))
    return pickle.loads(_exactly(pipe, size))  # noqa: S301  from the process that this one started


def _exactly(pipe: Any, size: int) -> bytes:
    content: bytes = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return content


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until nobody asks any more."""
    from ml_metadata.metadata_store.pywrap.metadata_store_extension import metadata_store as client

    store = None
    while True:
        try:
            question = _receive(questions)
        except EOFError:
            return
        if question[0] == "connect":
            try:
                store = client.CreateMetadataStore(question[1], b"")
                _send(answers, None)
            except RuntimeError as error:
                _send(answers, str(error))
        else:
            _send(answers, tuple(getattr(client, question[1])(store, question[2])))


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the client prints is no answer
    serve(sys.stdin.buffer, answers)
