"""The few calls of the Kubernetes API that starting workers takes, with the pod's own service account.

The `kubernetes` package would bring 30 MB of generated code into every step's image for a dozen requests.
"""

from __future__ import annotations

import json
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import ComponentError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT_SECONDS = 30.0
TRIES = 5
FIRST_WAIT_SECONDS = 0.5


class ApiError(ComponentError):
    """The API server refused.

    Args:
        status: HTTP status; 0 when there was no answer.
        message: what it said.
        remedy: what to do.
    """

    def __init__(self, status: int, message: str, remedy: str = "") -> None:
        self.status = status
        super().__init__(message, remedy=remedy)


@dataclass(frozen=True)
class Resource:
    """A kind of object, as its address names it.

    Args:
        group: API group; empty for the core.
        version: of the group.
        plural: `jobs`.
        cluster_wide: it belongs to no namespace.
    """

    group: str
    version: str
    plural: str
    cluster_wide: bool = False

    def path(self, namespace: str, *parts: str) -> str:
        """Return the path of its objects, or of what `parts` lead to."""
        start = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        within = [] if self.cluster_wide else ["namespaces", namespace]
        return "/".join([start, *within, self.plural, *(urllib.parse.quote(part) for part in parts)])


PODS = Resource("", "v1", "pods")
SERVICES = Resource("", "v1", "services")
JOBS = Resource("batch", "v1", "jobs")
TRAIN_JOBS = Resource("trainer.kubeflow.org", "v1alpha1", "trainjobs")
RUNTIMES = Resource("trainer.kubeflow.org", "v1alpha1", "trainingruntimes")
CLUSTER_RUNTIMES = Resource("trainer.kubeflow.org", "v1alpha1", "clustertrainingruntimes", cluster_wide=True)
TF_JOBS = Resource("kubeflow.org", "v1", "tfjobs")


class ClusterApi:
    """A connection to the API server.

    Args:
        server: its URL.
        namespace: where everything happens.
        token_file: read for every call, since Kubernetes replaces tokens while a pod runs.
        certificate: of the authority that signed the server's; None trusts what the machine trusts.
    """

    def __init__(self, server: str, namespace: str, token_file: Path, certificate: Path | None = None) -> None:
        self.server = server.rstrip("/")
        self.namespace = namespace
        self.token_file = token_file
        secure = self.server.startswith("https")
        self._context = ssl.create_default_context(cafile=certificate) if secure else None

    @classmethod
    def in_cluster(cls, environment: Mapping[str, str] = os.environ) -> ClusterApi:
        """Return the connection that every pod can make.

        Raises:
            ComponentError: this is no pod, or it has no token.
        """
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise ComponentError(
                "Workers were to be started on Kubernetes, and this process does not run in a pod.",
                remedy="Start the pipeline with --runner kubeflow, or leave the launcher to the runner.",
            )
        missing = [name for name in ("token", "ca.crt", "namespace") if not (SERVICE_ACCOUNT / name).is_file()]
        if missing:
            raise ComponentError(
                f"The Trainer's pod has no {', '.join(missing)} in {SERVICE_ACCOUNT}.",
                remedy="Set automountServiceAccountToken: true for the Trainer's service account.",
            )
        namespace = (SERVICE_ACCOUNT / "namespace").read_text().strip()
        host = f"[{host}]" if ":" in host else host
        return cls(f"https://{host}:{port}", namespace, SERVICE_ACCOUNT / "token", SERVICE_ACCOUNT / "ca.crt")

    def get(self, resource: Resource, name: str) -> dict[str, Any]:
        """Return one object."""
        return self._json("get", resource, "GET", resource.path(self.namespace, name))

    def list(self, resource: Resource, selector: str) -> list[dict[str, Any]]:
        """Return the objects with a label."""
        path = f"{resource.path(self.namespace)}?{urllib.parse.urlencode({'labelSelector': selector})}"
        items: list[dict[str, Any]] = self._json("list", resource, "GET", path)["items"]
        return items

    def create(self, resource: Resource, manifest: Mapping[str, Any]) -> None:
        """Create an object; one of that name that an earlier attempt left is deleted first."""
        name = manifest["metadata"]["name"]
        for attempt in range(TRIES):
            try:
                self._json("create", resource, "POST", resource.path(self.namespace), manifest)
            except ApiError as error:
                if error.status != 409 or attempt == TRIES - 1:
                    raise
                if self._is_ours(resource, name, manifest):
                    return  # the answer to the call before was lost
                self.delete(resource, name)
                time.sleep(FIRST_WAIT_SECONDS * 2**attempt)
            else:
                return

    def delete(self, resource: Resource, name: str) -> None:
        """Delete an object with all it made; one that is not there counts as deleted."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        try:
            self._json("delete", resource, "DELETE", resource.path(self.namespace, name), body)
        except ApiError as error:
            if error.status != 404:
                raise

    def log(self, pod: str, container: str, since: str | None) -> str:
        """Return a container's log with time stamps, from a time on; empty while it has none.

        Args:
            pod: its name.
            container: its name.
            since: RFC 3339 time of the last line that is known.
        """
        query = {"container": container, "timestamps": "true", **({"sinceTime": since} if since else {})}
        resource = Resource("", "v1", "pods/log")
        path = f"{PODS.path(self.namespace, pod)}/log?{urllib.parse.urlencode(query)}"
        try:
            return self._call("get", resource, "GET", path).decode("utf-8", "replace")
        except ApiError as error:
            # 400 is "not started yet", 404 "gone"
            if error.status in {400, 404}:
                return ""
            raise

    def _is_ours(self, resource: Resource, name: str, manifest: Mapping[str, Any]) -> bool:
        try:
            there = self.get(resource, name)["metadata"]
        except ApiError:
            return False
        owners = [each.get("uid") for each in there.get("ownerReferences", ())]
        wanted = [each.get("uid") for each in manifest["metadata"].get("ownerReferences", ())]
        return owners == wanted and "deletionTimestamp" not in there

    def _json(
        self, verb: str, resource: Resource, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        answer = self._call(verb, resource, method, path, body)
        try:
            found: dict[str, Any] = json.loads(answer)
        except ValueError as error:
            raise ApiError(0, f"The API server's answer to {method} {path} is no JSON: {answer[:100]!r}.") from error
        return found

    def _call(
        self, verb: str, resource: Resource, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> bytes:
        """Send a request; what may pass (no connection, 429, 5xx) is tried again."""
        wait = FIRST_WAIT_SECONDS
        for attempt in range(TRIES):
            try:
                return self._send(method, path, body)
            except urllib.error.HTTPError as error:
                said = _said(error)
                if error.code != 429 and error.code < 500 or attempt == TRIES - 1:
                    raise self._refused(error.code, said, verb, resource) from error
            except OSError as error:
                if attempt == TRIES - 1:
                    raise ApiError(
                        0,
                        f"The Kubernetes API at {self.server} could not be reached: {error}.",
                        "Check that a network policy lets the Trainer's pod reach the API server.",
                    ) from error
            time.sleep(wait)
            wait *= 2
        raise AssertionError("unreachable")

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> bytes:
        request = urllib.request.Request(self.server + path, method=method)  # noqa: S310 - the server is ours
        request.add_header("Authorization", f"Bearer {self.token_file.read_text().strip()}")
        request.add_header("Accept", "application/json, */*")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        answer = urllib.request.urlopen(request, data, TIMEOUT_SECONDS, context=self._context)  # noqa: S310
        with answer:
            return bytes(answer.read())

    def _refused(self, status: int, said: str, verb: str, resource: Resource) -> ApiError:
        what = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
        message = f"Kubernetes would not {verb} {what} in namespace {self.namespace} (HTTP {status}): {said}"
        remedy = ""
        if status == 403 and "quota" in said:
            remedy = "Raise the namespace's quota, or ask for less in resources.trainer."
        elif status == 403:
            rule = f'{{apiGroups: ["{resource.group}"], resources: [{resource.plural}], verbs: [{verb}]}}'
            role = "a ClusterRole" if resource.cluster_wide else "the Role"
            remedy = f"Add the rule {rule} to {role} of the Trainer's service account; k8s/ has the roles that ship."
        elif status == 401:
            remedy = "The service account's token is not accepted; check that the account still exists."
        elif status in {400, 422}:
            remedy = "The cluster does not take this object; check resources.trainer against its policies."
        return ApiError(status, message, remedy)


def _said(error: urllib.error.HTTPError) -> str:
    """Return the message of a Kubernetes Status, or the start of whatever came."""
    text = error.read().decode("utf-8", "replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:300] or str(error.reason)
