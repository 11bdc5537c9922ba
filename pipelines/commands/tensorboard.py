"""`sluice tensorboard`: show the training of a run in TensorBoard."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import click

from components.errors import Problem, SpecError


@click.command()
@click.argument("spec")
@click.argument("run", default="latest")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=6006, show_default=True, help="0 takes one that is free.")
@click.option(
    "--root", metavar="PLACE", help="The pipeline's folder: a path, s3://… or gs://…; .sluice/NAME when not given."
)
def tensorboard(spec: str, run: str, host: str, port: int, root: str | None) -> None:
    """Show the training of a run in TensorBoard, until Ctrl-C; RUN is `latest` when not given, or `previous`."""
    from pipelines.api import Pipeline

    home = Pipeline.load(spec, (), root).root
    logs = log_folder(home.run(run))
    from tensorboard import program

    server = program.TensorBoard()
    server.configure(argv=["tensorboard", "--logdir", str(logs), "--host", host, "--port", str(port)])
    click.echo(f"TensorBoard of {logs} at {server.launch()}")
    sys.stdout.flush()
    ended = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: ended.set())
    ended.wait()


def log_folder(record: dict[str, Any]) -> Path:
    """Return where a run's Trainer wrote its logs.

    Raises:
        SpecError: it wrote none, or they are not here.
    """
    from components.training.run_fn import LOG_FOLDER
    from pipelines.run_record import output_folder

    folder = output_folder(record, "Trainer", "model_run")
    logs = None if folder is None else folder / LOG_FOLDER
    if logs is None or not logs.is_dir():
        received = f"run {record['run_id']}, which has none" + ("" if logs is None else f" in {logs}")
        remedy = "Train with training.tensorboard: true, on this machine or with a --root that both can reach."
        raise SpecError([Problem("run", received, "a run with logs for TensorBoard", remedy)])
    return logs
