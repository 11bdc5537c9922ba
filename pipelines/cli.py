"""The command line: parse, call, print."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from components.errors import SluiceError, SpecError
from pipelines import log_file, screen
from pipelines.commands.check import check
from pipelines.commands.compile import compile_
from pipelines.commands.explain import explain
from pipelines.commands.image import image
from pipelines.commands.run import run
from pipelines.commands.schedule import schedule
from pipelines.commands.tensorboard import tensorboard
from pipelines.spec import load_spec

ROOT = click.option(
    "--root", metavar="PLACE", help="The pipeline's folder: a path, s3://… or gs://…; .sluice/NAME when not given."
)
SPEC = click.argument("spec")
OVERRIDES = click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sluice", prog_name="sluice")
def cli() -> None:
    """Raw data to a gated, served Keras model, from one YAML file.

    SPEC is a YAML file, or the name of a spec that ships with Sluice (see `sluice list`).
    Exit codes: 0 pushed, nothing to do, or no new model wanted; 2 bad spec or command line; 3 gate blocked; 4 a
    component failed.
    """


@cli.command()
@SPEC
@OVERRIDES
@click.option("--from", "from_node", metavar="COMPONENT", help="As for run.")
@click.option("--to", "to_node", metavar="COMPONENT", help="As for run.")
@click.option("--span", help="As for run.")
@ROOT
def plan(spec: str, overrides: tuple[str, ...], span: str | None, root: str | None, **options: Any) -> None:
    """Show what a run would do and why, without running anything."""
    from pipelines.plan import Choices

    pipeline = _pipeline(spec, _with_span(overrides, span), root)
    planned = pipeline.plan(Choices(options["from_node"], options["to_node"]))
    screen.print_plan(_console(), pipeline.spec.name, planned, pipeline.check_data().rows)


@cli.command()
@SPEC
@OVERRIDES
def validate(spec: str, overrides: tuple[str, ...]) -> None:
    """Check a spec without reading the data."""
    loaded = load_spec(spec, overrides)
    _console().print(f"{loaded.path}: [green]valid[/]", soft_wrap=True)


@cli.command(name="list")
def list_() -> None:
    """Show the specs, steps and model families that there are."""
    from pipelines.listing import catalogue

    console = _console()
    for heading, rows in catalogue():
        table = Table.grid(padding=(0, 2))
        for name, line in rows:
            table.add_row(f"  {name}", line)
        console.print(f"[bold]{heading}[/]")
        console.print(table)


@cli.command()
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Write to a file instead of the screen.")
def schema(output: Path | None) -> None:
    """Write the JSON Schema of a spec, which editors use for completion."""
    from pipelines.listing import json_schema

    text = json_schema()
    if output:
        output.write_text(text, encoding="utf-8")
        _console().print(f"wrote {output}")
    else:
        click.echo(text)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--from", "data", required=True, type=click.Path(exists=True, path_type=Path), help="A file, or a folder of images."
)
@click.option("--label", help="The column to predict; guessed when not given.")
def init(folder: Path, data: Path, label: str | None) -> None:
    """Start a pipeline from a data file or images in CLASS/FILE: writes a commented spec that runs as it is."""
    from pipelines.starter import write_starter

    with log_file.redirected(Path(os.devnull)):  # TensorFlow, which opens images, says much to standard error
        written = write_starter(folder, data, label)
    console = _console()
    for line in written.notes:
        console.print(f"  {line}", soft_wrap=True)
    console.print(f"wrote {written.path}; run it with: sluice run {written.path}", soft_wrap=True)


@cli.command()
@SPEC
@ROOT
def runs(spec: str, root: str | None) -> None:
    """List the runs of a pipeline, newest last."""
    from pipelines.comparison import runs_table

    _console().print(runs_table(_pipeline(spec, (), root).runs()))


@cli.command()
@click.argument("first")
@click.argument("second")
@click.option("--spec", default="taxi", show_default=True, help="The pipeline whose runs they are.")
@ROOT
def diff(first: str, second: str, spec: str, root: str | None) -> None:
    """Compare two runs: spec, data, code, metrics, slices. `previous` and `latest` name the last two."""
    from pipelines.comparison import compare, comparison_view

    home = _pipeline(spec, (), root).root
    _console().print(comparison_view(compare(home.run(first), home.run(second))))


@cli.command()
def doctor() -> None:
    """Check this machine: Python, glibc, disk, memory, GPU, containers, ports, cluster."""
    from pipelines.doctor import doctor_report

    sys.exit(doctor_report(_console()))


@cli.command()
@SPEC
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--rest-port", default=8501, show_default=True)
@click.option("--grpc-port", default=8500, show_default=True)
@ROOT
def serve(spec: str, host: str, rest_port: int, grpc_port: int, root: str | None) -> None:
    """Serve the pushed model over TF Serving's REST and gRPC interfaces."""
    from components.serving.server import main

    pipeline = _pipeline(spec, (), root)
    main.run(pipeline.spec.name, pipeline.serving_folder(), host=host, rest_port=rest_port, grpc_port=grpc_port)


@cli.command()
@SPEC
@click.argument("rows", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--json", "json_rows", help="Rows as JSON: one object or a list of them.")
@click.option("--version", type=int, help="A pushed version; the newest when not given.")
@ROOT
def predict(spec: str, rows: Path | None, json_rows: str | None, version: int | None, root: str | None) -> None:
    """Answer with the pushed model: ROWS is a CSV, Parquet or JSON-lines file, or a folder of images."""
    import json

    if (rows is None) == (json_rows is None):
        raise click.UsageError("give either a file of rows or --json")
    given: Any = rows
    if json_rows is not None:
        try:
            given = json.loads(json_rows)
        except ValueError as error:
            raise click.BadParameter(f"not JSON: {error}", param_hint="--json") from error
        given = given if isinstance(given, list) else [given]
    pipeline = _pipeline(spec, (), root)
    with log_file.redirected(pipeline.root.folder / "predict.log"):
        predictions = pipeline.predict(given, version)
    for note in predictions.notes:
        click.echo(note, err=True)
    for answer in predictions.rows():
        click.echo(json.dumps(answer))


def _with_span(overrides: tuple[str, ...], span: str | None) -> tuple[str, ...]:
    return overrides if span is None else (*overrides, f"data.span={span}")


def _pipeline(spec: str, overrides: tuple[str, ...], root: str | None) -> Any:
    from pipelines.api import Pipeline

    return Pipeline.load(spec, overrides, root)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 160, highlight=False)


cli.add_command(run)
cli.add_command(compile_)
cli.add_command(check)
cli.add_command(explain)
cli.add_command(image)
cli.add_command(schedule)
cli.add_command(tensorboard)


def main() -> None:
    """Run the command line; errors of the user's end in a message and an exit code, never in a traceback."""
    try:
        cli()
    except SpecError as error:
        screen.print_problems(Console(stderr=True, highlight=False), error.problems)
        sys.exit(error.exit_code)
    except SluiceError as error:
        Console(stderr=True, highlight=False).print(f"[bold red]error[/] {error}", soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
