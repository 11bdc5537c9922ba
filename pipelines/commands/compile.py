"""`sluice compile`: a spec to what Kubeflow Pipelines runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from pipelines.spec import LoadedSpec, load_spec

if TYPE_CHECKING:
    from pipelines.ir.compile import CompiledPipeline
    from pipelines.resources import StepResources


@click.command(name="compile")
@click.argument("spec")
@click.argument("overrides", nargs=-1, metavar="[SECTION.KEY=VALUE]...")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), default=Path("pipeline.yaml"), show_default=True
)
@click.option("--root", required=True, help="The pipeline's folder as steps see it: s3://…, gs://… or a mounted path.")
@click.option("--image", help="The image of every step; those that `sluice image build` makes of this code by default.")
@click.option("--registry", default="", help="Registry (and folder in it) of the default images.")
def compile_(spec: str, overrides: tuple[str, ...], output: Path, root: str, image: str | None, registry: str) -> None:
    """Compile a pipeline for Kubeflow Pipelines v2: IR and Kubernetes platform document in one file."""
    compiled = compiled_for_cluster(load_spec(spec, overrides), root=root, image=image, registry=registry)
    output.write_text(compiled.to_yaml(), encoding="utf-8")
    Console(highlight=False).print(f"wrote {output}", soft_wrap=True)


def compiled_for_cluster(loaded: LoadedSpec, *, root: str, image: str | None, registry: str = "") -> CompiledPipeline:
    """Return the compiled pipeline of a spec, checked by the rules of KFP's backend.

    Args:
        loaded: the spec.
        root: the pipeline's folder, as steps see it.
        image: of every step; None takes, for each step, the one for its pool that has this code in it.
        registry: where those are.

    Raises:
        SpecError: the spec asks for what cannot be had on a cluster.
    """
    from components.data import source
    from components.errors import SpecError
    from pipelines.image import image_name
    from pipelines.ir.compile import Target, compile_pipeline
    from pipelines.ir.rules import check
    from pipelines.ir.tasks import run_parameters
    from pipelines.resources import step_resources

    path = loaded.spec.data.path
    # a package's files are looked for in the container, whose packages lie elsewhere
    data_path = path if path.startswith("package:") else source.resolve(path, loaded.base_dir)
    steps = step_resources(loaded)
    images = {name: image or image_name(registry, _image_target(step)) for name, step in steps.items()}
    target = Target(images["Resolve"], run_parameters(loaded, data_path, root), images)
    compiled = compile_pipeline(loaded, target)
    if problems := check(compiled.pipeline_spec, compiled.platform_spec):
        raise SpecError(problems)
    return compiled


def _image_target(step: StepResources) -> str:
    """Return the target of the Dockerfile that has the libraries of a step's accelerators."""
    if not step.count or step.pool.accelerator is None:
        return "cpu"
    return "tpu" if step.pool.accelerator.is_tpu else "gpu"
