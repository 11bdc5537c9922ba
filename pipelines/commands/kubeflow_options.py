"""The options that say where a Kubeflow Pipelines server is, the same for every command that asks one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from pipelines.kubeflow.settings import KubeflowSettings

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)
OPTIONS = (
    click.option("--host", envvar="KFP_HOST", help="Address of Kubeflow Pipelines; KFP_HOST when not given."),
    click.option("--token-file", type=_FILE, help="File with a bearer token; else KFP_TOKEN, or the pod's own token."),
    click.option("--namespace", help="Your namespace, on a server for several users."),
    click.option("--experiment", help="That runs are filed under; the pipeline's name when not given."),
    click.option("--service-account", help="Of Kubernetes, that the pods have."),
    click.option("--pipeline-root", help="Where Kubeflow keeps artifacts, s3://… or gs://…"),
    click.option("--ca-file", type=_FILE, help="Certificates that sign the server's, in PEM."),
)
NAMES = ("host", "token_file", "namespace", "experiment", "service_account", "pipeline_root", "ca_file")


def kubeflow_options(command: Command) -> Command:
    """Give a command the options of a server; it takes them as keyword arguments of their names."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def settings_of(options: dict[str, Any]) -> KubeflowSettings:
    """Return the settings, and take their options out of `options`.

    Raises:
        click.UsageError: no host was given.
        SpecError: one of them is wrong.
    """
    from pipelines.kubeflow.settings import KubeflowSettings

    given = {name: options.pop(name) for name in NAMES}
    if not given["host"]:
        raise click.UsageError("say where Kubeflow Pipelines is: --host http://…, or KFP_HOST in the environment")
    return KubeflowSettings(**given)
