"""`sluice explain`: one row, step by step, in training and at serving."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from pipelines.explain import Explained

MARKS = {True: "[green]kept[/]", False: "[bold red]dropped[/]", None: "[dim]–[/]"}


@click.command()
@click.argument("spec")
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
@click.option("--row", type=int, default=1, show_default=True, help="Which row of the split, from 1.")
@click.option("--split", type=click.Choice(["train", "eval"]), default="train", show_default=True)
@click.option(
    "--root", metavar="PLACE", help="The pipeline's folder; .sluice/NAME when not given. A log is written there."
)
def explain(spec: str, overrides: tuple[str, ...], row: int, split: str, root: str | None) -> None:
    """Follow one row of the data: what each step does to it, in training and at serving.

    What steps learn is learned from a sample of the train split. Where a run at --root has exported a model, its own
    transform is asked too. Differences are marked with ≠.
    """
    from pipelines import log_file
    from pipelines.api import Pipeline
    from pipelines.explain import explain as follow

    pipeline = Pipeline.load(spec, overrides, root)
    with log_file.redirected(pipeline.root.folder / "explain.log"):
        found = follow(pipeline, row, split)
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(
        f"[bold]{pipeline.spec.name}[/] · row {row} of {split} · learned from the train rows of {found.sample}",
        soft_wrap=True,
    )
    console.print(_about_the_run(found), soft_wrap=True)
    _show_cleaning(console, found)
    _show_stages(console, found)


def _about_the_run(found: Explained) -> str:
    if found.run is None:
        return "no run has exported a model here: serving is the saved graph of the sample, given this row alone"
    if not found.run_is_of_this_spec:
        return f"serving also by the model of run {found.run}, whose features and transform were [yellow]others[/]"
    learned = "" if found.sample.rows == found.sample.seen else ", which learned from all of its rows"
    return f"serving also by the model of run {found.run}{learned}"


def _show_cleaning(console: Console, found: Explained) -> None:
    if not found.cleaning:
        console.print("[bold]cleaning[/]: none")
        return
    table = Table.grid(padding=(0, 2))
    for verdict in found.cleaning:
        table.add_row(f"  {MARKS[verdict.kept]}", escape(verdict.step), escape(verdict.why))
    console.print("[bold]cleaning[/], in training only")
    console.print(table)
    if any(verdict.kept is False for verdict in found.cleaning):
        console.print("  a request with this row is answered all the same; what follows is what it gets")


def _show_stages(console: Console, found: Explained) -> None:
    console.print("[bold]transform[/]")
    table = Table(box=None, pad_edge=False)
    headings = ["", "input", "step", "before", "training", "serving"]
    if found.run is not None:
        headings.append(f"run {found.run}")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    chain = None
    for stage in found.stages:
        cells = [stage.step, stage.before, stage.training, stage.serving]
        cells += [stage.served or ""] if found.run is not None else []
        name = stage.chain if stage.chain != chain else ""
        style = "bold red" if stage.differs else ""
        table.add_row("≠" if stage.differs else "", escape(name), *map(escape, cells), style=style)
        chain = stage.chain
    console.print(table)
    different = len({stage.chain for stage in found.stages if stage.differs})
    if different:
        console.print(f"[bold red]{different} of the model's inputs differ between training and serving[/]")
    else:
        console.print("[green]training and serving give the same[/]")
