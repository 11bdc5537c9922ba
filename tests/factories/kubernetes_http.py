"""The HTTP side of `tests.factories.kubernetes_api`: addresses, faults, checks, and TLS."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import ssl
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from tests.factories.kubernetes_api import KubernetesServer

TOKEN = "the-token-of-the-service-account"  # noqa: S105 - of a server that lives for one test
NAMESPACE = "kubeflow-user"
OPERATORS = {"trainer.kubeflow.org", "kubeflow.org"}
PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?P<log>/log)?"
)


@dataclass
class Fault:
    """An answer that comes instead of the right one.

    Args:
        method, plural: the calls it is for.
        status: HTTP status; 0 closes the connection.
        message: of the Status.
        times: how often it comes.
        after: let the call take place, and lose only its answer.
    """

    method: str
    plural: str
    status: int
    message: str = "internal error"
    times: int = 10**6
    after: bool = False


class Handler(BaseHTTPRequestHandler):
    cluster: KubernetesServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:  # noqa: N802
        self._answer("GET")

    def do_POST(self) -> None:  # noqa: N802
        self._answer("POST")

    def do_DELETE(self) -> None:  # noqa: N802
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        found = PATH.fullmatch(url.path)
        if found is None:
            return self._status(404, "the server could not find the requested resource")
        plural = "log" if found["log"] else found["plural"]
        self.cluster.calls.append((method, plural))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._status(401, "Unauthorized")
        fault = next((each for each in self.cluster.faults if (each.method, each.plural) == (method, plural)), None)
        if fault is not None and fault.times > 0:
            fault.times -= 1
            if fault.after:
                self.cluster.create(plural, json.loads(body))
            if not fault.status:
                self.close_connection = True
                return None
            return self._status(fault.status, fault.message)
        group = found["group"] or ""
        if group in OPERATORS and group not in self.cluster.operators:
            return self._status(404, "the server could not find the requested resource")
        if found["namespace"] not in {None, NAMESPACE}:
            return self._status(403, f"no access to namespace {found['namespace']}")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        return getattr(self, f"_{method.lower()}")(plural, found["name"], query, body)

    def _get(self, plural: str, name: str | None, query: dict[str, str], _: bytes) -> None:
        if plural == "log":
            return self._log(str(name), query)
        if name is None:
            label, _, value = query["labelSelector"].partition("=")
            pods = [item for (kind, _), item in list(self.cluster.objects.items()) if kind == plural]
            items = [each for each in pods if each["metadata"].get("labels", {}).get(label) == value]
            return self._send(200, {"kind": "List", "items": items})
        item = self.cluster.objects.get((plural, name))
        if item is None:
            return self._status(404, f'{plural} "{name}" not found')
        return self._send(200, item)

    def _log(self, name: str, query: dict[str, str]) -> None:
        pod = self.cluster.objects.get(("pods", name))
        if pod is None or query["container"] != pod["spec"]["containers"][0]["name"]:
            return self._status(404 if pod is None else 400, "container is not valid for pod")
        if pod["status"]["phase"] == "Pending":
            return self._status(400, "container is waiting to start: ContainerCreating")
        since = query.get("sinceTime", "").rstrip("Z")
        lines = [line for line in self.cluster.logs.get(name, []) if line[:19] >= since[:19]]
        return self._send(200, "".join(f"{line}\n" for line in lines))

    def _post(self, plural: str, _: str | None, __: dict[str, str], body: bytes) -> None:
        manifest = json.loads(body)
        name = manifest["metadata"]["name"]
        if (plural, name) in self.cluster.objects:
            return self._status(409, f'{plural} "{name}" already exists')
        try:
            for each in _checkable(plural, manifest):
                kubernetes_validate.validate(each, "1.31", strict=True)
        except kubernetes_validate.ValidationError as error:
            return self._status(422, f"{plural} {name} is invalid: {error}")
        return self._send(201, self.cluster.create(plural, manifest))

    def _delete(self, plural: str, name: str | None, _: dict[str, str], body: bytes) -> None:
        assert json.loads(body)["propagationPolicy"] == "Background"
        if not self.cluster.remove(plural, str(name)):
            return self._status(404, f'{plural} "{name}" not found')
        return self._status(200, "deleted")

    def _status(self, code: int, message: str) -> None:
        status = "Success" if code < 300 else "Failure"
        self._send(code, {"kind": "Status", "apiVersion": "v1", "status": status, "message": message, "code": code})

    def _send(self, code: int, content: Any) -> None:
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _checkable(plural: str, manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what Kubernetes' schemas know of a manifest: of Kubeflow's objects, the pods in them."""
    if plural in {"jobs", "services"}:
        return [manifest]
    if plural == "tfjobs":
        templates = [manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]]
    elif plural == "trainingruntimes":
        jobs = manifest["spec"]["template"]["spec"]["replicatedJobs"]
        templates = [each["template"]["spec"]["template"] for each in jobs]
    else:
        templates = []
    return [{"apiVersion": "v1", "kind": "Pod", **template} for template in templates]


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "server.crt", folder / "server.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def serve(cluster: KubernetesServer, folder: Path) -> tuple[ThreadingHTTPServer, Path]:
    """Return a server that is not running yet, and the certificate to trust."""
    certificate, key = _certificate(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OfOne", (Handler,), {"cluster": cluster}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server, certificate
