"""Where a Kubeflow Pipelines server is and who asks it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from components.errors import Problem, SpecError

TOKEN_VARIABLE = "KFP_TOKEN"  # noqa: S105 - the name of a variable
MOUNTED_TOKEN_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105 - the kfp SDK's name for it
MOUNTED_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
"""Where Kubeflow mounts the token of a pod's service account; the kubelet writes a new one every hour or so."""


@dataclass(frozen=True)
class KubeflowSettings:
    """How to reach a server.

    Args:
        host: its address, `http://localhost:8080` or `https://kubeflow.example.com/pipeline`.
        token: bearer token.
        token_file: file with the token, read again for every request, since such tokens expire and are replaced.
        namespace: the user's namespace; needed when the server serves several users, unused otherwise.
        experiment: that runs are filed under; the pipeline's name when None.
        service_account: of Kubernetes, that the pods of the run have; the server's default when None.
        pipeline_root: where KFP keeps artifacts (`s3://bucket/prefix`); the server's default when None.
        ca_file: certificates that sign the server's, in PEM.
        timeout_seconds: for one answer.
        attempts: how often a request is sent that can be sent again.
        backoff_seconds: wait before the second attempt; doubles with each.
        poll_seconds: between two looks at a run.
        patience_seconds: how long a run is followed though the server does not answer.
    """

    host: str
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    namespace: str | None = None
    experiment: str | None = None
    service_account: str | None = None
    pipeline_root: str | None = None
    ca_file: Path | None = None
    timeout_seconds: float = 30.0
    attempts: int = 4
    backoff_seconds: float = 1.0
    poll_seconds: float = 2.0
    patience_seconds: float = 600.0

    def __post_init__(self) -> None:
        problems = []
        parts = urlsplit(self.host)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            problems.append(
                Problem("--host", repr(self.host), "an address that starts with http:// or https://", _EXAMPLE)
            )
        if self.token is not None and self.token_file is not None:
            problems.append(Problem("--token-file", "a token and a token file", "one of them", "Leave one out."))
        if self.ca_file is not None and not self.ca_file.is_file():
            problems.append(
                Problem("--ca-file", str(self.ca_file), "a file with certificates in PEM", "Give the path of one.")
            )
        if problems:
            raise SpecError(problems)

    @property
    def address(self) -> str:
        """The host without the slash at its end."""
        return self.host.rstrip("/")

    def bearer_token(self) -> str | None:
        """Return the token to send now: the one given, the file's, `KFP_TOKEN`, or the pod's own; None without any.

        Raises:
            SpecError: the file cannot be read or is empty.
        """
        if self.token is not None:
            return _one_line(self.token, "token")
        if self.token_file is not None:
            return _read_token(self.token_file, "--token-file")
        if os.environ.get(TOKEN_VARIABLE):
            return _one_line(os.environ[TOKEN_VARIABLE], TOKEN_VARIABLE)
        mounted = Path(os.environ.get(MOUNTED_TOKEN_VARIABLE) or MOUNTED_TOKEN)
        return _read_token(mounted, MOUNTED_TOKEN_VARIABLE) if mounted.is_file() else None

    def run_url(self, run_id: str) -> str:
        """Return the page of a run in KFP's user interface."""
        return f"{self.address}/#/runs/details/{run_id}"


_EXAMPLE = (
    "Such as http://localhost:8888 after `kubectl --namespace kubeflow port-forward service/ml-pipeline 8888`, "
    "or https://kubeflow.example.com/pipeline."
)


def _read_token(file: Path, where: str) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem(where, f"{file}: {error}", "a readable file with a token", "Give the path of the token file.")
        raise SpecError([problem]) from error
    return _one_line(text, where)


def _one_line(text: str, where: str) -> str:
    token = text.strip()
    if not token or len(token.split()) != 1:
        received = "an empty text" if not token else "a text with blanks or several lines"
        remedy = "For a service account: `kubectl create token NAME --namespace NAMESPACE --duration 8h`."
        raise SpecError([Problem(where, received, "a bearer token, one word", remedy)])
    return token
