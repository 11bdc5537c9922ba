"""TFX's connection to ML Metadata that outlasts a restart of the server, as far as a second try does no harm."""

from __future__ import annotations

import logging
import random
import time
from typing import Any

import ml_metadata
from ml_metadata import errors
from tfx.orchestration import metadata

PATIENCE_SECONDS = 120.0
_LOST = ("Lost connection", "gone away", "mysql_real_connect", "Connection was killed", "shutdown in progress")


class PatientMetadata(metadata.Metadata):
    """Waits for a server that does not answer, and reads again what a lost connection cut off.

    A write is never sent twice: whether the server had carried it out cannot be told, and an execution recorded twice
    would be taken for two. A component whose write was cut off fails, and the next run does it again. TFX connects anew
    before and after each component and holds no connection while one works, so a restart rarely meets a write.

    Args:
        connection_config: what to connect with.
        patience_seconds: how long to wait for a server.
    """

    def __init__(self, connection_config: Any, patience_seconds: float = PATIENCE_SECONDS) -> None:
        super().__init__(connection_config)
        self.patience_seconds = patience_seconds

    def __enter__(self) -> PatientMetadata:
        self._store = _patiently(lambda: _Store(self._connection_config, self.patience_seconds), self.patience_seconds)
        self._users += 1
        return self


class _Store(ml_metadata.MetadataStore):
    def __init__(self, config: Any, patience_seconds: float) -> None:
        super().__init__(config)
        self._patience_seconds = patience_seconds

    def _call_method(self, method_name: str, request: Any, response: Any) -> None:
        def call() -> None:
            super(_Store, self)._call_method(method_name, request, response)

        if method_name.startswith("Get"):
            _patiently(call, self._patience_seconds)
        else:
            call()


def _patiently(call: Any, patience_seconds: float) -> Any:
    deadline, pause = time.monotonic() + patience_seconds, 0.25
    while True:
        try:
            return call()
        except (RuntimeError, errors.InternalError, errors.AbortedError) as error:
            # RuntimeError: it could not connect, or two runs made the tables at once
            lost = isinstance(error, RuntimeError | errors.AbortedError) or any(each in str(error) for each in _LOST)
            if not lost or time.monotonic() + pause > deadline:
                raise
            logging.getLogger("sluice").warning("ML Metadata does not answer (%s); trying again", error)
            time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  nobody guesses it
            pause = min(2 * pause, 5.0)
