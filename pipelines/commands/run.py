"""`sluice run`: run a pipeline in this process, in containers, or on Kubeflow."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from pipelines import screen
from pipelines.commands.kubeflow_options import kubeflow_options, settings_of

if TYPE_CHECKING:
    from pipelines.api import Pipeline
    from pipelines.run_record import RunResult
    from pipelines.runners.docker import DockerRunner

HERE = ("from_node", "to_node", "no_cache", "wait")
"""Options that mean something only where the plan is made, which is not on Kubeflow."""
THERE = ("attach", "terminate")
"""Options that mean something only on Kubeflow."""


@click.command()
@click.argument("spec")
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
@click.option("--from", "from_node", metavar="COMPONENT", help="Run this component and all behind it again.")
@click.option("--to", "to_node", metavar="COMPONENT", help="Run nothing behind this component.")
@click.option("--no-cache", is_flag=True, help="Run every component.")
@click.option("--override-gate", metavar="REASON", help="Push whatever the gate says; who, when and why are recorded.")
@click.option("--wait", is_flag=True, help="Wait for another run of this pipeline instead of refusing.")
@click.option("--span", help="The newest span to read, a number or a date; short for data.span=…")
@click.option("--root", metavar="PLACE", help="The pipeline's folder; .sluice/NAME when not given.")
@click.option(
    "--runner",
    type=click.Choice(["beam", "docker", "kubeflow"]),
    default="beam",
    show_default=True,
    help="beam: in this process; docker: every component in a container here; kubeflow: on a cluster.",
)
@click.option("--image", help="The image of the steps; those that `sluice image build` makes of this code by default.")
@click.option("--registry", default="", help="Registry (and folder in it) of the default images.")
@click.option("--attach", metavar="RUN_ID", help="Follow a run that Kubeflow has already, instead of starting one.")
@click.option("--terminate", metavar="RUN_ID", help="End a run on Kubeflow, instead of starting one.")
@kubeflow_options
def run(spec: str, overrides: tuple[str, ...], runner: str, span: str | None, **options: Any) -> None:
    """Run a pipeline: in this process on Apache Beam, in containers, or on Kubeflow Pipelines.

    With `--runner kubeflow`, --root is the pipeline's folder as steps see it, and Kubeflow decides what is cached.
    """
    from pipelines.api import Pipeline

    on_cluster = runner == "kubeflow"
    if span is not None and not on_cluster:
        overrides = (*overrides, f"data.span={span}")
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    pipeline = Pipeline.load(spec, overrides, None if on_cluster else options["root"])
    console.print(f"[bold]{pipeline.spec.name}[/] · {pipeline.loaded.path}", soft_wrap=True)
    options["span"] = span
    result = _on_kubeflow(pipeline, options, console) if on_cluster else _here(pipeline, runner, options)
    screen.print_result(console, result)
    sys.exit(result.exit_code)


def _here(pipeline: Pipeline, runner: str, options: dict[str, Any]) -> RunResult:
    from pipelines.plan import Choices

    if given := [name for name in THERE if options[name]]:
        raise click.UsageError(f"--{given[0]}: runs that go on by themselves are Kubeflow's: add --runner kubeflow")
    choices = Choices(options["from_node"], options["to_node"], not options["no_cache"])
    return pipeline.run(
        choices,
        runner=_docker_runner(options) if runner == "docker" else None,
        override_gate=options["override_gate"],
        wait=options["wait"],
        watch=screen.watching,
    )


def _docker_runner(options: dict[str, Any]) -> DockerRunner:
    """Return the runner of containers; the image is there before anything runs.

    Raises:
        SpecError: no engine answers, or the image was not built.
    """
    from components.errors import Problem, SpecError
    from pipelines import image
    from pipelines.runners.container import Containers
    from pipelines.runners.docker import DockerRunner

    engine = image.container_engine()
    name = options["image"] or image.image_name(options["registry"])
    if not image.exists(engine, name):
        expected = "an image that is on this machine"
        remedy = f"`sluice image build` makes it of the present code; `{engine} pull {name}` fetches one that exists."
        raise SpecError([Problem("--image", repr(name), expected, remedy)])
    return DockerRunner(Containers(engine, name))


def _on_kubeflow(pipeline: Pipeline, options: dict[str, Any], console: Console) -> RunResult:
    from pipelines.commands.compile import compiled_for_cluster
    from pipelines.runners.kubeflow import KubeflowRunner

    if unused := [name for name in HERE if options[name]]:
        words = ", ".join("--" + name.removesuffix("_node").replace("_", "-") for name in unused)
        raise click.UsageError(f"{words}: on Kubeflow nothing is planned here, so this has no meaning")
    if not options["root"]:
        raise click.UsageError("--root: say where the pipeline's folder is, as steps see it: s3://…, gs://… or a path")
    settings = settings_of(options)
    compiled = compiled_for_cluster(
        pipeline.loaded, root=options["root"], image=options["image"], registry=options["registry"]
    )
    runner = KubeflowRunner(
        settings,
        pipeline.root.folder,
        screen.watching,
        lambda line: console.print(f"  {line}", markup=False, soft_wrap=True),
        pipeline.loaded,
    )
    if options["terminate"]:
        runner.terminate(options["terminate"])
    if followed := options["terminate"] or options["attach"]:
        return runner.attach(compiled, followed)
    return runner.run(compiled, {name: options[name] for name in ("override_gate", "span") if options[name]})
