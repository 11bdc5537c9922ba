"""A real HTTP server that speaks Kubeflow Pipelines' v2beta1 API as far as Sluice uses it, with faults on demand.

Shapes come from kfp_server_api's models, rules from the backend: names, cron expressions of six fields, concurrency,
multipart uploads, errors of grpc-gateway. Runs advance by one step whenever somebody looks at them.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.factories.kubeflow_checks import check_cron, checked, parsed_pipeline
from tests.factories.kubeflow_http import Fault, RefusedError, Seen
from tests.factories.kubeflow_runs import SimulatedRun

JSON = dict[str, Any]


class KubeflowServer:
    """The state behind the server.

    Args:
        multi_user: whether requests need a namespace.
        token: the only bearer token that is let in; anybody is when None.
        version: that it says it has.
        generation: `argo` reports tasks as KFP up to 2.17, `tasks` as later ones.
        simulate: makes what a started run will do.
    """

    def __init__(
        self,
        *,
        multi_user: bool = False,
        token: str | None = None,
        generation: str = "argo",
        version: str = "2.17.0",
        simulate: Callable[[JSON], SimulatedRun] = SimulatedRun,
    ) -> None:
        self.multi_user = multi_user
        self.token = token
        self.generation = generation
        self.version = version
        self.simulate = simulate
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self.experiments: list[JSON] = []
        self.pipelines: list[JSON] = []
        self.versions: list[JSON] = []
        self.runs: list[SimulatedRun] = []
        self.recurring: list[JSON] = []
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.host = ""
        self.on_look: Callable[[str], None] = lambda run_id: None

    def asked(self, method: str, path: str) -> list[Seen]:
        """Return the requests of a kind that arrived."""
        return [each for each in self.seen if each.method == method and re.search(path, each.path)]

    def answer(self, request: Seen) -> Any:
        """Carry a request out."""
        with self.lock:
            for method, pattern, handler in _ROUTES:
                if request.method == method and (found := re.fullmatch(pattern, request.path)):
                    return handler(self, request, *found.groups())
        raise RefusedError(404, "Not Found")

    def health(self, request: Seen) -> JSON:
        return {"multi_user": self.multi_user, "commit_sha": "0" * 40, "tag_name": self.version}

    def make_experiment(self, request: Seen) -> JSON:
        body = checked(request.body, "V2beta1Experiment")
        self._namespace(body.get("namespace"))
        if any(each["display_name"] == body["display_name"] for each in self.experiments):
            raise RefusedError(409, f"Already exist error: experiment {body['display_name']} exists")
        made = {"experiment_id": _id(), "created_at": _now(), "storage_state": "AVAILABLE", **body}
        self.experiments.append(made)
        return made

    def list_experiments(self, request: Seen) -> JSON:
        return self._page("experiments", self.experiments, request)

    def make_pipeline(self, request: Seen) -> JSON:
        body = checked(request.body, "V2beta1Pipeline")
        if any(each["name"] == body["name"] for each in self.pipelines):
            raise RefusedError(409, f"Already exist error: pipeline {body['name']} exists")
        made = {"pipeline_id": _id(), "created_at": _now(), **body}
        self.pipelines.append(made)
        return made

    def list_pipelines(self, request: Seen) -> JSON:
        return self._page("pipelines", self.pipelines, request)

    def upload_version(self, request: Seen) -> JSON:
        pipeline_id, name = request.query.get("pipelineid", ""), request.query.get("name", "")
        if not any(each["pipeline_id"] == pipeline_id for each in self.pipelines):
            raise RefusedError(400, "Failed to create a pipeline version")
        if any(each["name"] == name and each["pipeline_id"] == pipeline_id for each in self.versions):
            raise RefusedError(409, "Failed to create a pipeline version")
        made = {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": _id(),
            "name": name,
            "display_name": request.query.get("display_name", name),
            "description": request.query.get("description", ""),
            "created_at": _now(),
            "pipeline_spec": parsed_pipeline(request.body),
        }
        self.versions.append(made)
        return made

    def list_versions(self, request: Seen, pipeline_id: str) -> JSON:
        own = [each for each in self.versions if each["pipeline_id"] == pipeline_id]
        return self._page("pipeline_versions", own, request)

    def start_run(self, request: Seen) -> JSON:
        body = checked(request.body, "V2beta1Run")
        spec = self._version_spec(body)
        self._check_parameters(body, spec)
        made = {
            **body,
            "run_id": _id(),
            "created_at": _now(),
            "scheduled_at": _now(),
            "state": "PENDING",
            "storage_state": "AVAILABLE",
        }
        run = self.simulate(made)
        run.begin(spec)
        self.runs.append(run)
        return made

    def list_runs(self, request: Seen) -> JSON:
        found = [run.head() for run in self.runs]
        if experiment := request.query.get("experiment_id"):
            found = [each for each in found if each["experiment_id"] == experiment]
        return self._page("runs", found, request)

    def get_run(self, request: Seen, run_id: str) -> JSON:
        run = self._run(run_id)
        self.on_look(run_id)
        run.advance()
        return run.whole() if self.generation == "argo" else run.whole_in_tasks(request.query.get("view") == "FULL")

    def end_run(self, request: Seen, run_id: str) -> JSON:
        self._run(run_id).cancel()
        return {}

    def read_log(self, request: Seen, version: str, run_id: str, pod: str) -> str:
        log = self._run(run_id).logs.get(pod)
        if log is None or (version == "v2beta1" and self.generation == "argo"):
            raise RefusedError(404, "Not Found")
        return log

    def make_recurring(self, request: Seen) -> JSON:
        body = checked(request.body, "V2beta1RecurringRun")
        self._check_parameters(body, self._version_spec(body))
        concurrency = int(body.get("max_concurrency", 0))
        if not 1 <= concurrency <= 10:
            expected = "Max concurrency of a recurring run must be at least 1 and at most 10"
            raise RefusedError(400, f"{expected}. Received {concurrency}")
        check_cron(body["trigger"]["cron_schedule"]["cron"])
        enabled = body.get("mode") == "ENABLE"
        made = {**body, "recurring_run_id": _id(), "created_at": _now(), "updated_at": _now()}
        made["mode"], made["status"] = ("ENABLE", "ENABLED") if enabled else ("DISABLE", "DISABLED")
        self.recurring.append(made)
        return made

    def list_recurring(self, request: Seen) -> JSON:
        return self._page("recurringRuns", self.recurring, request)

    def switch_recurring(self, request: Seen, recurring_id: str, verb: str) -> JSON:
        found = self._recurring(recurring_id)
        found["mode"], found["status"] = ("ENABLE", "ENABLED") if verb == "enable" else ("DISABLE", "DISABLED")
        return {}

    def delete_recurring(self, request: Seen, recurring_id: str) -> JSON:
        self.recurring.remove(self._recurring(recurring_id))
        return {}

    def _recurring(self, recurring_id: str) -> JSON:
        found = [each for each in self.recurring if each["recurring_run_id"] == recurring_id]
        if not found:
            raise RefusedError(404, f"RecurringRun {recurring_id} not found")
        return found[0]

    def _run(self, run_id: str) -> SimulatedRun:
        found = [run for run in self.runs if run.record["run_id"] == run_id]
        if not found:
            raise RefusedError(404, f"Run {run_id} not found")
        return found[0]

    def _namespace(self, namespace: str | None) -> None:
        if self.multi_user and not namespace:
            raise RefusedError(400, "Invalid input error: namespace is empty")
        if namespace and not self.multi_user:
            raise RefusedError(400, "Invalid input error: In single-user mode, the namespace must be empty")

    def _version_spec(self, body: JSON) -> JSON:
        if not any(each["experiment_id"] == body.get("experiment_id") for each in self.experiments):
            raise RefusedError(404, f"Experiment {body.get('experiment_id')} not found")
        if not body.get("display_name"):
            raise RefusedError(400, "Invalid input error: name cannot be empty")
        reference = body["pipeline_version_reference"]
        for each in self.versions:
            if {key: each[key] for key in reference} == reference:
                return each["pipeline_spec"]["pipeline_spec"]
        raise RefusedError(404, f"PipelineVersion {reference} not found")

    def _check_parameters(self, body: JSON, spec: JSON) -> None:
        known = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        for name, value in body.get("runtime_config", {}).get("parameters", {}).items():
            if name not in known:
                raise RefusedError(400, f"Invalid input error: parameter {name} is not a part of the pipeline")
            if known[name]["parameterType"] == "NUMBER_INTEGER" and not isinstance(value, int):
                raise RefusedError(400, f"Invalid input error: parameter {name} is not a number")

    def _page(self, key: str, items: list[JSON], request: Seen) -> JSON:
        namespace = request.query.get("namespace")
        found = [each for each in items if namespace in {None, each.get("namespace", namespace)}]
        if written := request.query.get("filter"):
            for predicate in json.loads(written)["predicates"]:
                # the name of protobuf's enum or its number, which is what the SDK sends
                assert predicate["operation"] in {"EQUALS", 1}, predicate
                found = [each for each in found if each.get(predicate["key"]) == predicate["stringValue"]]
        if request.query.get("sort_by") == "created_at desc":
            found = found[::-1]
        size, start = int(request.query.get("page_size", 20)), int(request.query.get("page_token") or 0)
        page: JSON = {key: found[start : start + size], "total_size": len(found)}
        if start + size < len(found):
            page["next_page_token"] = str(start + size)
        # protobuf's JSON leaves out what is empty
        return {name: value for name, value in page.items() if value}


_API = "/apis/v2beta1"
_ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", f"{_API}/healthz", KubeflowServer.health),
    ("POST", f"{_API}/experiments", KubeflowServer.make_experiment),
    ("GET", f"{_API}/experiments", KubeflowServer.list_experiments),
    ("POST", f"{_API}/pipelines", KubeflowServer.make_pipeline),
    ("GET", f"{_API}/pipelines", KubeflowServer.list_pipelines),
    ("POST", f"{_API}/pipelines/upload_version", KubeflowServer.upload_version),
    ("GET", f"{_API}/pipelines/([^/]+)/versions", KubeflowServer.list_versions),
    ("POST", f"{_API}/runs", KubeflowServer.start_run),
    ("GET", f"{_API}/runs", KubeflowServer.list_runs),
    ("GET", f"{_API}/runs/([^/:]+)", KubeflowServer.get_run),
    ("POST", f"{_API}/runs/([^/:]+):terminate", KubeflowServer.end_run),
    ("GET", "/apis/([^/]+)/runs/([^/]+)/nodes/([^/]+)/log", KubeflowServer.read_log),
    ("POST", f"{_API}/recurringruns", KubeflowServer.make_recurring),
    ("GET", f"{_API}/recurringruns", KubeflowServer.list_recurring),
    ("POST", f"{_API}/recurringruns/([^/:]+):(enable|disable)", KubeflowServer.switch_recurring),
    ("DELETE", f"{_API}/recurringruns/([^/:]+)", KubeflowServer.delete_recurring),
]


def _id() -> str:
    return str(uuid.uuid4())


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
