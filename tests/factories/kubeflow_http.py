"""HTTP in front of a simulated API: reads requests, writes answers, and breaks them when a fault says so."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit


@dataclass
class Seen:
    """One request that arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Fault:
    """What goes wrong.

    Args:
        kind: an HTTP status, or `timeout`, `cut` (the connection ends within the body), `half` (half the JSON, well
            framed), `reset` (no answer at all), `page` (a web page instead).
        method: of the requests that it hits.
        path: regular expression that their path matches.
        times: how often; None for always.
        done: whether the request is carried out before things go wrong.
        message: in the error.
        headers: of the answer.
    """

    kind: int | str
    method: str = ""
    path: str = ""
    times: int | None = 1
    done: bool = False
    message: str = "told to fail"
    headers: dict[str, str] = field(default_factory=dict)

    def hits(self, method: str, path: str) -> bool:
        """Say whether it hits a request, and count it."""
        if self.times == 0 or (self.method and self.method != method) or not re.search(self.path, path):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class RefusedError(Exception):
    """An answer that is an error, as grpc-gateway writes one."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class State(Protocol):
    """What is behind the server."""

    token: str | None
    seen: list[Seen]
    faults: list[Fault]
    lock: Any
    stopping: threading.Event
    host: str

    def answer(self, request: Seen) -> Any:
        """Carry a request out."""


Served = TypeVar("Served", bound=State)


class _Handler(BaseHTTPRequestHandler):
    """HTTP in front of the state: reads requests, writes answers, breaks them when a fault says so."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: State

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, *args: Any) -> None:
        """Keep the output of tests clean."""

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        request = Seen(self.command, parts.path, query, dict(self.headers), self._body(raw))
        state = self.state
        with state.lock:
            state.seen.append(request)
            fault = next((each for each in state.faults if each.hits(self.command, parts.path)), None)
        if fault and not fault.done:
            self._fail(fault, b'{"display_name": "never told"}')
            return
        try:
            self._let_in()
            answer = state.answer(request)
        except RefusedError as refusal:
            self._write(refusal.status, _error(refusal.status, refusal.message))
            return
        text = answer if isinstance(answer, str) else json.dumps(answer)
        if fault:
            self._fail(fault, text.encode())
        else:
            self._write(200, text.encode())

    def _let_in(self) -> None:
        if self.state.token and self.headers.get("Authorization") != f"Bearer {self.state.token}":
            raise RefusedError(401, "Request header error: there is no user identity header.: Failed to authenticate")

    def _body(self, raw: bytes) -> Any:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            boundary = kind.partition("boundary=")[2].encode()
            part = raw.split(b"--" + boundary)[1]
            head, _, content = part.partition(b"\r\n\r\n")
            assert b'name="uploadfile"' in head, head
            return content.removesuffix(b"\r\n").decode()
        return json.loads(raw) if raw else None

    def _fail(self, fault: Fault, whole: bytes) -> None:
        half = whole[: max(1, len(whole) // 2)]
        match fault.kind:
            case "timeout":
                self.state.stopping.wait(5)
                self.close_connection = True
            case "reset":
                self.close_connection = True
            case "cut":
                self._write(200, half, length=len(whole))
                self.close_connection = True
            case "half":
                self._write(200, half)
            case "page":
                self._write(200, b"<!DOCTYPE html><html><title>Sign in</title></html>", kind="text/html")
            case status:
                assert isinstance(status, int), status
                self._write(status, _error(status, fault.message), headers=fault.headers)

    def _write(
        self,
        status: int,
        body: bytes,
        *,
        length: int | None = None,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


@contextmanager
def serving(state: Served, context: ssl.SSLContext | None = None) -> Iterator[Served]:
    """Serve a state on a free port of this machine, `state.host`; with TLS when there is a context for it."""
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.host = f"http://127.0.0.1:{server.server_port}"
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        state.host = f"https://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _error(status: int, message: str) -> bytes:
    codes = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 500: 13, 503: 14}
    details = [{"@type": "type.googleapis.com/google.rpc.Status", "code": codes.get(status, 2), "message": message}]
    body = {"error": message, "code": codes.get(status, 2), "message": message, "details": details}
    return json.dumps(body).encode()
