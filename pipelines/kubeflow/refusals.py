"""What went wrong with a request, said so that the reader knows what to do."""

from __future__ import annotations

import json
from typing import Any, Literal

from components.errors import Problem, SpecError

Kind = Literal[
    "unreachable",
    "timeout",
    "cut",
    "server",
    "quota",
    "unauthorised",
    "forbidden",
    "missing",
    "exists",
    "invalid",
    "alien",
]

TRANSIENT: frozenset[Kind] = frozenset({"unreachable", "timeout", "cut", "server"})
"""What may be over when the request is sent again."""

AMBIGUOUS: frozenset[Kind] = frozenset({"timeout", "cut", "server"})
"""After these the server may or may not have done what it was asked to do."""

TOO_MANY_REQUESTS = 429
_LOOK = "Try again; if it stays, look at the server's log and at the proxies in between."
_RESOURCE_EXHAUSTED = 8  # gRPC's code
_SHOWN = 600


class ApiError(SpecError):
    """A request to Kubeflow Pipelines that did not get what it asked for.

    Args:
        kind: what went wrong, for code to decide on.
        problem: the same for a person.
        status: of HTTP, when there was an answer.
        retry_after: seconds the server asked to wait.
    """

    def __init__(
        self, kind: Kind, problem: Problem, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__([problem])
        self.kind = kind
        self.problem = problem
        self.status = status
        self.retry_after = retry_after

    @property
    def transient(self) -> bool:
        """True when sending a harmless request again may help."""
        return self.kind in TRANSIENT or self.status == TOO_MANY_REQUESTS

    @property
    def nothing_happened(self) -> bool:
        """True when the server certainly did not do what it was asked to do."""
        return self.kind not in AMBIGUOUS


def no_answer(host: str, request: str, error: Exception, seconds: float) -> ApiError:
    """Explain a failure below HTTP.

    Args:
        host: of the server.
        request: what was asked, `GET /apis/v2beta1/runs`.
        error: what urllib3 raised.
        seconds: the limit for an answer.
    """
    from urllib3 import exceptions

    if isinstance(error, exceptions.ReadTimeoutError):
        received = f"no answer to {request} from {host} in {seconds:g} s"
        remedy = "Is the server overloaded, or a proxy in between asleep? Try again."
        return ApiError("timeout", Problem("--host", received, "an answer", remedy))
    if isinstance(error, exceptions.NewConnectionError | exceptions.ConnectTimeoutError):
        received = f"{host} cannot be reached: {_cause(error)}"
        remedy = (
            "Check the address and that it can be reached from here; for a server inside a cluster: "
            "`kubectl --namespace kubeflow port-forward service/ml-pipeline 8888`, then --host http://localhost:8888."
        )
        return ApiError(
            "unreachable", Problem("--host", received, "a Kubeflow Pipelines server that listens there", remedy)
        )
    received = f"{host} broke off while it answered {request}: {_cause(error)}"
    return ApiError(
        "cut",
        Problem(
            "--host",
            received,
            "a whole answer",
            _LOOK,
        ),
    )


def untrusted(host: str, reason: str) -> ApiError:
    """Explain a TLS handshake that failed."""
    received = f"{host} proves its name with a certificate that is not trusted here: {reason.splitlines()[-1]}"
    remedy = "Give the certificates of your organisation with --ca-file, or use the name that the certificate is for."
    return ApiError("alien", Problem("--host", received, "a certificate that can be checked", remedy))


def not_json(host: str, request: str, body: str) -> ApiError:
    """Explain an answer that should be JSON and is not."""
    if body.lstrip().startswith("<"):
        received = f"{host} answered {request} with a web page: {_short(body, 80)!r}"
        remedy = (
            "This is a login page or another service. Give the address of the API itself (often …/pipeline), and "
            "sign in with --token-file or the variable KFP_TOKEN."
        )
        return ApiError("alien", Problem("--host", received, "Kubeflow Pipelines' API, which answers in JSON", remedy))
    received = f"{host} answered {request} with {len(body)} characters that are not whole JSON: …{body[-60:]!r}"
    return ApiError(
        "cut",
        Problem(
            "--host",
            received,
            "a whole answer",
            _LOOK,
        ),
    )


def refused(host: str, request: str, status: int, body: str, retry_after: float | None) -> ApiError:
    """Explain an answer whose status is not 200.

    Args:
        host: of the server.
        request: what was asked.
        status: of HTTP.
        body: of the answer.
        retry_after: seconds the server asked to wait.
    """
    text, code = server_message(body)
    kind = _kind(status, text, code)
    where, expected, remedy = _ADVICE[kind]
    received = f"{host} answered {request} with {status}: {text or 'no reason given'}"
    return ApiError(kind, Problem(where, received, expected, remedy), status=status, retry_after=retry_after)


def server_message(body: str) -> tuple[str, int | None]:
    """Return what a KFP server says in an error, and gRPC's code for it."""
    try:
        content: Any = json.loads(body)
    except ValueError:
        return ("a web page" if body.lstrip().startswith("<") else _short(body, _SHOWN)), None
    if not isinstance(content, dict):
        return _short(body, _SHOWN), None
    text = content.get("message") or content.get("error_message") or content.get("error") or body
    code = content.get("code")
    return _short(str(text), _SHOWN), code if isinstance(code, int) else None


def _kind(status: int, text: str, code: int | None) -> Kind:
    lower = text.lower()
    if status == TOO_MANY_REQUESTS or code == _RESOURCE_EXHAUSTED or "exceeded quota" in lower:
        return "quota"
    if status == 401 or "authentication failed" in lower:
        return "unauthorised"
    # uploads answer 400 where every other request answers 403
    if status == 403 or (status == 400 and "denied" in lower):
        return "forbidden"
    if 300 <= status < 400:
        return "alien"
    if status == 404:
        return "missing"
    if status == 409:
        return "exists"
    return "invalid" if status < 500 else "server"


_ADVICE: dict[Kind, tuple[str, str, str]] = {
    "quota": (
        "kubeflow",
        "room in the quota",
        "Wait for other runs to end, ask for less in `resources:`, or have the namespace's quota raised "
        "(`kubectl describe quota`).",
    ),
    "unauthorised": (
        "--token-file",
        "a token that the server knows",
        "Give a fresh one with --token-file or the variable KFP_TOKEN, such as from "
        "`kubectl create token NAME --namespace NAMESPACE --audience pipelines.kubeflow.org`.",
    ),
    "forbidden": (
        "--namespace",
        "the right to do this",
        "The server knows who asks and does not let them: check --namespace, or bind the account to the role "
        "kubeflow-edit there.",
    ),
    "missing": ("kubeflow", "something that is there", "Check --host, --namespace and the name or id."),
    "exists": ("kubeflow", "a name that is free", "Use what is there, or another name."),
    "invalid": ("kubeflow", "a request that the server accepts", "Change what it names."),
    "alien": (
        "--host",
        "Kubeflow Pipelines' API",
        "The server sends elsewhere, as to a login page. Give the address of the API itself (often …/pipeline), and "
        "sign in with --token-file or the variable KFP_TOKEN.",
    ),
    "server": (
        "kubeflow",
        "an answer",
        "Look at the server's log: `kubectl --namespace kubeflow logs deploy/ml-pipeline`.",
    ),
}


def _cause(error: Exception) -> str:
    """Return the plainest reason in a chain such as `('Connection aborted.', RemoteDisconnected('…'))`."""
    inner: object = error.args[-1] if error.args else error
    text = str(inner)
    return text.rsplit("> : ", 1)[-1].rsplit(">: ", 1)[-1] or type(error).__name__


def _short(text: str, length: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
