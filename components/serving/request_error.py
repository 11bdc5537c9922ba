"""What a request did wrong, with the HTTP status that says so."""

from __future__ import annotations


class RequestError(Exception):
    """A request that cannot be answered.

    Args:
        message: what was received, what was expected and, where it helps, what to send instead.
        status: HTTP status: 400 bad input, 404 unknown model or version, 413 too large, 500 our fault, 501 not offered,
            503 not yet.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        self.message = message
        self.status = status
        super().__init__(message)
