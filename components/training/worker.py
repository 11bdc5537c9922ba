"""One worker of a training that several share: `python -m components.training.worker`.

Kubernetes, a container engine or the Trainer itself starts as many as `resources.trainer.workers` says. What a worker
must know stands in its environment; see `components.training.cluster`. Exit codes: 0 done, 4 a failure that the user
can do something about, 1 anything else; the last line on standard output says in JSON what went wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.errors import ComponentError, SluiceError, causes
from components.training.cluster import JOB, TIMEOUT, TIMEOUT_SECONDS, Cluster

TERMINATION_LOG = Path("/dev/termination-log")
"""Where Kubernetes looks for the last words of a container."""

PROBE_SECONDS = 3.0
POLL_SECONDS = 0.2
LOADING_SECONDS = 300.0
"""How much longer TensorFlow may take to load and connect, on a slow disk too."""


def train() -> None:
    """Join the others and train; the chief writes the model.

    Raises:
        SluiceError: what the user can do something about.
    """
    cluster = Cluster.from_environment(os.environ)
    place = os.environ.get(JOB)
    if not place:
        raise ComponentError(
            f"The environment variable {JOB} of this worker is empty.", remedy="Set it to the folder of job.json."
        )
    _say("joining", {"worker": cluster.index, "workers": list(cluster.addresses)})
    seconds = float(os.environ.get(TIMEOUT, TIMEOUT_SECONDS))
    wait_for_others(cluster, seconds)
    with _patience(seconds + LOADING_SECONDS):
        # Before all else: TensorFlow takes part in collectives only if told so before its first operation.
        from components.training.distribution import join

        distribution = join(cluster)
    from components.training.exchange import Exchange
    from components.training.run_fn import run_job

    exchange = Exchange(place)
    with tempfile.TemporaryDirectory(prefix="sluice-worker-") as work:
        job = exchange.receive(Path(work))
        if not cluster.is_chief:
            job = replace(job, runtime={**job.runtime, "progress": None})
        run_job(job, distribution, None if exchange.remote is None else exchange.keep_checkpoint)
        if cluster.is_chief:
            exchange.give(job)
        # A worker that leaves early looks dead to the chief, which may still be exporting.
        distribution.wait_for_all()


def wait_for_others(cluster: Cluster, seconds: float) -> None:
    """Return when every other worker answers at its address.

    TensorFlow itself would wait for ever and not say for whom. It holds Python's lock meanwhile, so that no thread of
    ours could end it: this comes before.

    Raises:
        ComponentError: some do not come; says which, and why they cannot be reached.
    """
    missing = [each for index, each in enumerate(cluster.addresses) if index != cluster.index]
    deadline = time.monotonic() + seconds
    with _listening(int(cluster.addresses[cluster.index].rpartition(":")[2])):
        while missing := [each for each in missing if _unreachable(each)]:
            if time.monotonic() > deadline:
                named = ", ".join(f"{each} ({_unreachable(each)})" for each in missing)
                raise ComponentError(
                    f"Worker {cluster.index} waited {seconds:.0f} s for the others. No answer from {named}.",
                    remedy="Check that all workers were started (is there room in the pool?), that their names "
                    f"resolve, and that a network policy lets them reach each other; {TIMEOUT} sets how long to wait.",
                )
            time.sleep(POLL_SECONDS)


def _listening(port: int) -> socket.socket:
    """Answer at this worker's port until TensorFlow's own server does."""
    both = socket.has_dualstack_ipv6()
    try:
        if both:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    except OSError as error:
        raise ComponentError(
            f"Port {port} of this worker cannot be used: {error.strerror}.",
            remedy="Run one worker per pod or container, or give each another port.",
        ) from error


@contextlib.contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """End the process when TensorFlow hangs while it connects; the timer needs no Python to run."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _unreachable(address: str) -> str:
    """Return why an address does not answer; empty when it does."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=PROBE_SECONDS):
            return ""
    except socket.gaierror:
        return "the name is not known"
    except OSError as error:
        return str(error.strerror or error)


def _fail(error: BaseException) -> int:
    """Say what went wrong, for people and for the Trainer; return the exit code."""
    failure = _told(error)
    _say("failure", failure)
    with contextlib.suppress(OSError):
        if TERMINATION_LOG.exists():
            TERMINATION_LOG.write_text(json.dumps({"failure": failure})[:4000])
    return error.exit_code if isinstance(error, SluiceError) else 1


def _told(error: BaseException) -> dict[str, Any]:
    for each in causes(error):
        if isinstance(each, ComponentError):
            return {"message": each.message, "spec_path": each.spec_path, "remedy": each.remedy, "peer": False}
    text = f"{type(error).__name__}: {error}"[:2000]
    return {"message": text, "spec_path": None, "remedy": "", "peer": _is_of_a_peer(error)}


def _is_of_a_peer(error: BaseException) -> bool:
    """Say whether an error only means that another worker is gone."""
    import tensorflow as tf

    errors = tf.errors
    gone = (errors.UnavailableError, errors.AbortedError, errors.CancelledError, errors.DeadlineExceededError)
    return isinstance(error, gone) or (isinstance(error, errors.OpError) and "ollective" in str(error))


def _say(event: str, content: dict[str, Any]) -> None:
    print(json.dumps({event: content}), flush=True)  # noqa: T201 - the Trainer reads it from this worker's log


def _end(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: threads that wait for other workers would keep the process.
    os._exit(code)


def _end_with_parent() -> None:
    """End when standard input does, so that a Trainer that was killed leaves no process behind."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        _end(143)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str] | None = None) -> int:
    """Run the worker that the environment describes; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--end-with-parent", action="store_true", help="end when standard input ends")
    if parser.parse_args(arguments).end_with_parent:
        _end_with_parent()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        train()
    except Exception as error:
        traceback.print_exc()
        return _fail(error)
    return 0


if __name__ == "__main__":
    _end(main())
