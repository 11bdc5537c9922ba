"""TFX's connection to ML Metadata that outlasts a restart of a MySQL server, as far as a second try does no harm."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any

import ml_metadata
from ml_metadata import errors
from tfx.orchestration import metadata

from components.errors import ComponentError
from pipelines.runners.metadata_process import MetadataProcess

PATIENCE_SECONDS = 120.0
WRITES_AFTER_DEADLOCK = 5
"""How often a write is tried that the server has rolled back in favour of another run's."""
_LOST = ("Lost connection", "gone away", "mysql_real_connect", "Connection was killed", "shutdown in progress")


def metadata_connection(config: Any) -> metadata.Metadata:
    """Return what TFX talks to ML Metadata through: its own class for SQLite, the patient one for a server."""
    return PatientMetadata(config) if config.HasField("mysql") else metadata.Metadata(config)


class PatientMetadata(metadata.Metadata):
    """Waits for a server that does not answer, and reads again what a lost connection cut off.

    A write is never sent twice: whether the server had carried it out cannot be told, and an execution recorded twice
    would be taken for two. A component whose write was cut off fails, and the next run does it again. TFX connects anew
    before and after each component and asks nothing while one works, so a restart rarely meets a write.

    Args:
        connection_config: what to connect with.
        patience_seconds: how long to wait for a server; PATIENCE_SECONDS when None.
    """

    def __init__(self, connection_config: Any, patience_seconds: float | None = None) -> None:
        super().__init__(connection_config)
        self.patience_seconds = PATIENCE_SECONDS if patience_seconds is None else patience_seconds
        self.process = MetadataProcess(connection_config.SerializeToString())

    def __enter__(self) -> PatientMetadata:
        self._patiently(self.process.connect)
        self._store = _Store(self._connection_config, self.process, self._patiently)
        self._users += 1
        return self

    def close(self) -> None:
        """Let the server go; entering connects again."""
        self.process.close()

    def _patiently(self, call: Callable[[], None]) -> None:
        """Call until it succeeds, or the error is none of the connection.

        Raises:
            ComponentError: patience ran out.
        """
        deadline, pause = time.monotonic() + self.patience_seconds, 0.25
        while True:
            try:
                return call()
            except (RuntimeError, errors.InternalError, errors.AbortedError) as error:
                # RuntimeError: it could not connect, or two runs made the tables at once
                if not (_is_lost(error) or _is_rolled_back(error)):
                    raise
                if time.monotonic() + pause > deadline:
                    raise self._given_up() from error
                logging.getLogger("sluice").warning("ML Metadata does not answer (%s); trying again", error)
                time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  nobody guesses it
                pause = min(2 * pause, 5.0)

    def _given_up(self) -> ComponentError:
        server = self._connection_config.mysql
        place = f"{server.user}@{server.host}:{server.port}/{server.database}"
        return ComponentError(
            f"The metadata store {place} was there when the run began, "
            f"and has not answered for {self.patience_seconds:.0f} s.",
            spec_path="metadata",
            remedy="Start the server and run again: what was finished is kept.",
        )


class _Store(ml_metadata.MetadataStore):
    """ML Metadata's own, with its client in another process."""

    def __init__(self, config: Any, process: MetadataProcess, patiently: Callable[[Callable[[], None]], None]) -> None:
        # not the parent's: it would connect in this process
        self._config = config
        self._max_num_retries = 5
        self._service_client_wrapper = None
        self._using_db_connection = True
        self._process = process
        self._patiently = patiently

    def _call_method(self, method_name: str, request: Any, response: Any) -> None:
        def call() -> None:
            content, message, code = self._process.call(method_name, request.SerializeToString())
            if code != 0:
                error = errors.make_exception(message.decode("utf-8"), code)
                if _is_rolled_back(error) or (isinstance(error, errors.InternalError) and _is_lost(error)):
                    # the client believes that its transaction is still open, and would refuse the next call
                    self._process.disconnect()
                raise error
            response.ParseFromString(content)

        if method_name.startswith("Get"):
            self._patiently(call)
        else:
            _write(call, method_name)


def _write(call: Callable[[], None], method_name: str) -> None:
    """Send a write once, and again only when the server has undone all of it.

    Raises:
        ComponentError: whether it was written is not known.
    """
    for left in reversed(range(WRITES_AFTER_DEADLOCK)):
        try:
            call()
        except (RuntimeError, errors.InternalError, errors.AbortedError) as error:
            if _is_rolled_back(error) and left:
                time.sleep(random.uniform(0.05, 0.5))  # noqa: S311  nobody guesses it
                continue
            if isinstance(error, errors.AbortedError) or not _is_lost(error):
                raise
            raise _cut_off(method_name, error) from error
        return


def _cut_off(method_name: str, error: Exception) -> ComponentError:
    return ComponentError(
        f"The metadata store went away while {method_name} was writing to it, so it is not known whether that was "
        f"written: {error}.",
        spec_path="metadata",
        remedy="Run again: what was finished is kept, and the component that was cut off is done again.",
    )


def _is_rolled_back(error: Exception) -> bool:
    """Two runs wrote at once, and the server undid the whole transaction of this one: it can be sent again."""
    return "Deadlock found" in str(error)


def _is_lost(error: Exception) -> bool:
    return not isinstance(error, errors.InternalError) or any(each in str(error) for each in _LOST)
