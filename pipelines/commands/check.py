"""`sluice check`: look for leaks and wrong labels in a sample of the raw data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.sample import ROWS

if TYPE_CHECKING:
    from pipelines.check import Checked
    from pipelines.spec import LoadedSpec

STYLES = {"suspect": "bold yellow", "note": "dim"}


@click.command()
@click.argument("spec")
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
@click.option("--rows", type=click.IntRange(min=100), default=ROWS, show_default=True, help="Size of the sample.")
@click.option("--no-transform", is_flag=True, help="Look at the columns only, which needs no TensorFlow.")
@click.option("--strict", is_flag=True, help="Exit with 2 when something is suspicious; notes do not count.")
@click.option(
    "--label-noise",
    "noise_file",
    metavar="FILE.csv",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write all labels that look wrong there: row, given, suggested, margin.",
)
@click.option(
    "--root", metavar="PLACE", help="The pipeline's folder; .sluice/NAME when not given. A log is written there."
)
def check(  # noqa: PLR0913 - one per word of the command
    spec: str,
    overrides: tuple[str, ...],
    rows: int,
    no_transform: bool,
    strict: bool,
    noise_file: Path | None,
    root: str | None,
) -> None:
    """Look for leaks and wrong labels: a sample of the data through cleaning and transform.

    Suspicious are: a feature that alone predicts the label, a copy of a column of the label, identifiers, features
    that say the same, constant or empty ones, eval rows that were trained on, and classes of too few rows.

    A label looks wrong where a linear model of the other rows confidently says another one (confident learning, for
    classes), or where it is more than 5 robust standard deviations from what ridge regression says. From a tenth of the
    labels on they are suspicious.
    """
    from components.data import label_noise
    from pipelines import log_file
    from pipelines.api import Pipeline
    from pipelines.check import check as look

    if noise_file and no_transform:
        raise click.UsageError("--label-noise: labels are compared with the model inputs; leave out --no-transform")
    if noise_file and not noise_file.absolute().parent.is_dir():
        received = f"{str(noise_file)!r} lies in a folder that is not there"
        raise click.BadParameter(f"{received}; make it first", param_hint="--label-noise")
    pipeline = Pipeline.load(spec, overrides, root)
    with log_file.redirected(pipeline.root.folder / "check.log"):
        checked = look(pipeline, rows, with_transform=not no_transform)
    _show(Console(width=None if sys.stdout.isatty() else 160, highlight=False), pipeline.loaded, checked)
    if noise_file and checked.noise:
        label_noise.write(checked.noise, noise_file)
    sys.exit(2 if strict and checked.suspects else 0)


def _show(console: Console, loaded: LoadedSpec, checked: Checked) -> None:
    kept = ", ".join(f"{count:,} {name}" for name, count in checked.kept.items())
    console.print(f"[bold]{loaded.spec.name}[/] · {loaded.path}", soft_wrap=True)
    console.print(f"{checked.sample}; cleaning keeps {kept}", soft_wrap=True)
    shared = checked.overlap
    console.print(
        f"train and eval: {shared.equal:,} of {shared.total:,} eval rows equal a train row, {shared.equal_features:,} "
        f"have the features of one, {shared.same_label:,} of these its label too",
        soft_wrap=True,
    )
    if checked.inputs is None:
        console.print("the transform graph was left out")
    else:
        console.print(f"{checked.inputs} model inputs looked at")
        console.print(escape(str(checked.noise)), soft_wrap=True)
    if checked.findings:
        table = Table(box=None, pad_edge=False)
        for heading in ("", "column", "seen", "what to do", "line"):
            table.add_column(heading, overflow="fold")
        for found in checked.findings:
            cells = (found.level, found.column, found.seen, found.remedy, _line(loaded, found.where))
            table.add_row(*map(escape, cells), style=STYLES[found.level])
        console.print(table)
    console.print(f"{checked.suspects} suspicious" if checked.suspects else "[green]nothing suspicious[/]")


def _line(loaded: LoadedSpec, dotted: str) -> str:
    location = tuple(int(part) if part.isdigit() else part for part in dotted.split("."))
    return str(loaded.source.line(location) or "")
