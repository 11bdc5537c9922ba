"""A server that a webhook can be told of: it keeps what it gets and answers as it is told."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Receiver:
    """A webhook's server.

    Args:
        answers: status codes, one per request; the last one is repeated.
    """

    def __init__(self, answers: list[int]) -> None:
        self.received: list[dict[str, Any]] = []
        received, codes = self.received, answers

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(codes[min(len(received), len(codes)) - 1])
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
