"""Send everything that TensorFlow, Beam and TFX say to the run's log file instead of the user's screen."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "1", "GRPC_VERBOSITY": "ERROR", "ABSL_MIN_LOG_LEVEL": "1"}
ONE_KERAS = {"TF_USE_LEGACY_KERAS": "0"}
"""TensorFlow Transform chooses the legacy Keras unless somebody chose before it is imported."""


@contextlib.contextmanager
def redirected(path: Path) -> Iterator[TextIO]:
    """Send file descriptors 1 and 2 and Python's logging to a file; yield a stream to the real screen.

    In a notebook, where there are no descriptors to speak of, only Python's logging goes to the file.
    """
    for name, value in (QUIET | ONE_KERAS).items():
        os.environ.setdefault(name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log, _python_logging(log):
        if not _has_own_descriptors():
            yield sys.stdout
            return
        sys.stdout.flush()
        sys.stderr.flush()
        saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
        screen = os.fdopen(os.dup(saved[1]), "w", encoding=sys.stdout.encoding or "utf-8", buffering=1)
        try:
            for descriptor in saved:
                os.dup2(log.fileno(), descriptor)
            yield screen
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, original in saved.items():
                os.dup2(original, descriptor)
                os.close(original)
            screen.close()


@contextlib.contextmanager
def _python_logging(log: TextIO) -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers = before
        root.setLevel(level)


def _has_own_descriptors() -> bool:
    try:
        return sys.stdout.fileno() == 1 and sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):
        return False
