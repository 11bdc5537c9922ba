"""`sluice image`: build and push the images that steps run in."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from pipelines import image as images
from pipelines import image_build

STEP_LINE = re.compile(r"^(?:Step (\d+/\d+) : |STEP (\d+/\d+): |#\d+ \[(.+?)\] )(.*)")
TARGET = click.option("--target", type=click.Choice(images.TARGETS), default="cpu", show_default=True)
EXTRA = click.option(
    "--extra", "extras", multiple=True, metavar="NAME", help="Bring a group of docker/left-out.txt along; repeatable."
)
BASE = click.option("--base", default=images.BASE, show_default=True, help="The image to start from.")


@click.group()
def image() -> None:
    """Build and push the images that steps run in.

    An image is named by its content. A model module of your own is not part of it: it travels with the pipeline.
    """


@image.command()
@TARGET
@EXTRA
@BASE
@click.option("--push-to", "registry", metavar="REGISTRY", help="Push it as well; host and folder.")
def build(target: str, extras: tuple[str, ...], base: str, registry: str | None) -> None:
    """Build the image of the present code, unless it is there; prints its name last."""
    chosen = images.Image(target, tuple(extras), base)
    engine = images.container_engine()
    console, started = Console(stderr=True, highlight=False), time.monotonic()
    there = images.exists(engine, chosen.name())
    with _watching(console, f"building {chosen.name()} with {engine}") as watch:
        name = image_build.build(chosen, engine, watch)
    took = "is there already" if there else f"built in {time.monotonic() - started:.0f} s"
    console.print(f"{name} {took}", soft_wrap=True)
    if registry:
        with _watching(console, f"pushing to {registry}") as watch:
            name = image_build.push(chosen, engine, registry, watch)
    click.echo(name)


@image.command()
@click.argument("registry")
@TARGET
@EXTRA
@BASE
def push(registry: str, target: str, extras: tuple[str, ...], base: str) -> None:
    """Push the image of the present code to REGISTRY (host and folder); refuses if it was not built."""
    chosen = images.Image(target, tuple(extras), base)
    engine = images.container_engine()
    with _watching(Console(stderr=True, highlight=False), f"pushing to {registry}") as watch:
        name = image_build.push(chosen, engine, registry, watch)
    click.echo(name)


@contextmanager
def _watching(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Show what the engine is doing: the current step on a terminal, one line a step elsewhere."""
    started = time.monotonic()
    with console.status(what) as status:

        def watch(line: str) -> None:
            found = STEP_LINE.match(line)
            if found is None:
                return
            number = next(filter(None, found.groups()[:3]))
            text = f"{number} {found.group(4)}"[:100]
            if sys.stderr.isatty():
                status.update(f"{what} · {text}")
            else:
                console.print(f"{time.monotonic() - started:5.0f} s  {text}", soft_wrap=True, markup=False)

        yield watch
