"""Start the server, and let it finish what it has begun when it is asked to stop."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import Problem, SpecError

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Options:
    """What seldom needs changing.

    Args:
        max_request_bytes: larger requests are refused, 16 MiB unless told.
        poll_seconds: time between two looks for new versions.
        num_versions: how many of the newest versions can be asked for by number.
        threads: how many predictions run at once, for REST and for gRPC each.
        drain_seconds: how long requests may still take after the server was asked to stop.
    """

    max_request_bytes: int = 16 * MEBIBYTE
    poll_seconds: float = 0.5
    num_versions: int = 1
    threads: int = 4
    drain_seconds: int = 30


def run(
    name: str,
    base_path: str | Path,
    host: str = "127.0.0.1",
    rest_port: int = 8501,
    grpc_port: int = 8500,
    options: Options | None = None,
) -> int:
    """Serve a model until SIGTERM or SIGINT; return the exit code.

    Args:
        name: name of the model in requests.
        base_path: folder of its versions, as the Pusher writes it.
        host: address to listen on; only this machine unless told.
        rest_port: 0 takes any free port and says which.
        grpc_port: 0 takes any free port and says which.
        options: the rest.

    Raises:
        SpecError: the folder does not exist, or a port cannot be used.
    """
    base_path, options = Path(base_path).absolute(), options or Options()
    if not base_path.is_dir():
        raise SpecError([_no_folder(base_path)])
    listener = _listen(host, rest_port)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("components.serving").setLevel(logging.INFO)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with contextlib.closing(listener):
        return _serve(name, base_path, listener, (host, grpc_port), options)


def _serve(name: str, base_path: Path, listener: socket.socket, grpc_at: tuple[str, int], options: Options) -> int:
    import gc

    import uvicorn

    from components.serving.server.model_versions import ModelVersions
    from components.serving.server.rest import rest_application
    from components.serving.server.rpc import rpc_server

    gc.freeze()  # what is imported stays; later collections then look at the models only
    models = ModelVersions(name, base_path, _load, options.num_versions)
    workers = ThreadPoolExecutor(options.threads, thread_name_prefix="rest")
    grpc_server = rpc_server(models, options.threads, options.max_request_bytes)
    grpc_port = _bind(grpc_server, *grpc_at)
    config = uvicorn.Config(
        rest_application(models, workers, options.max_request_bytes),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=75,  # longer than clients keep idle connections, so that they close them first
        timeout_graceful_shutdown=options.drain_seconds,
    )
    server = uvicorn.Server(config)
    # uvicorn raises the signal again once it has drained; before it runs, this is what it comes to.
    signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
    models.start(options.poll_seconds)
    grpc_server.start()
    listener.listen(config.backlog)  # from here on requests wait for an answer instead of being refused
    host, rest_port = listener.getsockname()[:2]
    sys.stdout.write(f"Serving {name}: REST http://{host}:{rest_port}/v1/models/{name}, gRPC {host}:{grpc_port}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    grpc_server.stop(options.drain_seconds).wait()
    models.stop()
    workers.shutdown()
    return 0


def _load(folder: Path) -> Any:
    from components.serving.saved_model import SavedModel

    model = SavedModel(folder)
    model.warm_up()
    return model


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio leaves Nagle's algorithm on and every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SpecError([_no_port("--rest-port", f"{host}:{port}", str(error.strerror))]) from error
    return listener


def _bind(server: Any, host: str, port: int) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise SpecError([_no_port("--grpc-port", address, "it cannot be bound")]) from error


def _no_port(option: str, address: str, why: str) -> Problem:
    return Problem(option, f"{address} ({why})", "a free port", "Name another one; 0 takes any free port.")


def _no_folder(base_path: Path) -> Problem:
    return Problem("--base-path", f"{base_path}, which does not exist", "a folder of versions", "Push a model first.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m components.serving.server", description=__doc__)
    parser.add_argument("--name", required=True, help="name of the model in requests")
    parser.add_argument("--base-path", required=True, help="folder of its versions")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--rest-port", type=int, default=8501, help="0: any free port (%(default)s)")
    parser.add_argument("--grpc-port", type=int, default=8500, help="0: any free port (%(default)s)")
    for option, default in vars(Options()).items():
        parser.add_argument(f"--{option.replace('_', '-')}", type=type(default), default=default, help="(%(default)s)")
    given = vars(parser.parse_args(arguments))
    options = Options(**{option: given.pop(option) for option in vars(Options())})
    try:
        return run(**given, options=options)
    except SpecError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
