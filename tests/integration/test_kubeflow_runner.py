"""The kubeflow runner against a real HTTP server: what arrives there, what is shown, and what the run ends with."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pytest

from pipelines.kubeflow.settings import KubeflowSettings
from pipelines.run_record import RunResult
from pipelines.runners.kubeflow import KubeflowRunner, LeftRunningError
from pipelines.runners.runner import NodeResult, Watcher
from tests.factories.kubeflow_http import serving
from tests.factories.kubeflow_pipelines import written_pipeline
from tests.factories.kubeflow_runs import SimulatedRun
from tests.factories.kubeflow_server import KubeflowServer

PUSHED_ENDS = {"report-blocked": "SKIPPED"}
BLOCKED_ENDS = {"pusher": "SKIPPED", "report": "SKIPPED"}
VERDICT = {"passed": True, "reasons": ["auc 0.91 is at least 0.8"]}


class Recorder(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.statuses: dict[str, list[str]] = {}
        self.reasons: set[str] = set()

    def changed(self, results: list[NodeResult]) -> None:
        for result in results:
            seen = self.statuses.setdefault(result.name, [])
            if not seen or seen[-1] != result.status:
                seen.append(result.status)
            self.reasons.add(result.why)


def settings(server: KubeflowServer, **more: Any) -> KubeflowSettings:
    quick = {"timeout_seconds": 2.0, "backoff_seconds": 0.01, "poll_seconds": 0.01}
    return KubeflowSettings(server.host, **{**quick, **more})


def run_pipeline(
    pipeline: Any, options: KubeflowSettings, folder: Path, parameters: dict[str, Any] | None = None, **shown: Any
) -> RunResult:
    return KubeflowRunner(options, folder, **shown).run(pipeline, parameters)


def write_run(root: Path, record: dict[str, Any], **content: Any) -> None:
    """Leave behind what the report step does."""
    folder = root / "runs" / record["run_id"]
    folder.mkdir(parents=True)
    pushed = {"version": 7, "destination": "s3://models/taxi"}
    whole = {"run_id": record["run_id"], "pipeline": "taxi", "spec_file": "taxi.yaml", "status": "pushed"}
    whole |= {"verdict": VERDICT, "pushed": pushed, "seconds": 61.5, "nodes": [], "failure": None, **content}
    (folder / "run.json").write_text(json.dumps(whole))
    (folder / "report.html").write_text("<html>the report</html>")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@contextmanager
def cluster(**behaviour: Any) -> Iterator[KubeflowServer]:
    """A server whose runs end as told."""
    server_options = {key: behaviour.pop(key) for key in ("generation", "token", "multi_user") if key in behaviour}
    with serving(KubeflowServer(simulate=partial(SimulatedRun, **behaviour), **server_options)) as server:
        yield server


def test_a_run_is_uploaded_started_followed_and_fetched(root: Path, here: Path) -> None:
    pipeline, recorder, said = written_pipeline(root=str(root)), Recorder(), []

    @contextmanager
    def watch(stream: TextIO) -> Iterator[Watcher]:
        yield recorder

    with cluster(ends=PUSHED_ENDS, at_end=partial(write_run, root)) as server:
        options = settings(server, service_account="trainer", pipeline_root="s3://artifacts/taxi", experiment="nightly")
        result = run_pipeline(
            pipeline, options, here, parameters={"epochs": 3, "root": str(root)}, watch=watch, say=said.append
        )

    (upload,) = server.asked("POST", "upload_version")
    assert upload.body == pipeline.to_yaml()
    assert upload.query["name"].startswith("taxi-")
    assert len(upload.query["name"]) == len("taxi-") + 12
    (start,) = server.asked("POST", "/runs$")
    assert start.body["runtime_config"] == {
        "parameters": {"epochs": 3, "root": str(root)},
        "pipeline_root": "s3://artifacts/taxi",
    }
    assert start.body["service_account"] == "trainer"
    assert start.body["pipeline_version_reference"] == {
        "pipeline_id": server.pipelines[0]["pipeline_id"],
        "pipeline_version_id": server.versions[0]["pipeline_version_id"],
    }
    assert [each["display_name"] for each in server.experiments] == ["nightly"]
    assert (result.status, result.exit_code) == ("pushed", 0)
    assert result.pushed == {"version": 7, "destination": "s3://models/taxi"}
    assert result.verdict == VERDICT
    assert result.report.read_text() == "<html>the report</html>"
    assert result.folder == here / "runs" / result.run_id
    assert recorder.statuses["Trainer"] == ["waiting", "running", "done"]
    assert recorder.statuses["Report"] == ["waiting", "running", "done"]
    assert "waits for a machine" in recorder.reasons
    assert any(f"{server.host}/#/runs/details/{result.run_id}" in line for line in said)


def test_the_same_content_is_uploaded_once_and_changed_content_as_a_new_version(root: Path, here: Path) -> None:
    with cluster(ends=PUSHED_ENDS, at_end=partial(write_run, root)) as server:
        for image in ("sluice:1", "sluice:1", "sluice:2"):
            run_pipeline(written_pipeline(root=str(root), image=image), settings(server), here)
    assert len(server.pipelines) == len(server.experiments) == 1
    assert len(server.versions) == 2
    used = [run.record["pipeline_version_reference"]["pipeline_version_id"] for run in server.runs]
    assert used[0] == used[1] != used[2]
    assert len({run.record["display_name"] for run in server.runs}) == 3


@pytest.mark.parametrize("generation", ["argo", "tasks"])
def test_a_blocked_gate_is_exit_code_3_and_the_pusher_is_skipped(root: Path, here: Path, generation: str) -> None:
    verdict = {"passed": False, "reasons": ["auc 0.7 is below 0.8"]}
    leave = partial(write_run, root, status="blocked", verdict=verdict, pushed=None)
    with cluster(ends=BLOCKED_ENDS, at_end=leave, generation=generation) as server:
        result = run_pipeline(written_pipeline(root=str(root)), settings(server), here)
    statuses = {node["name"]: node["status"] for node in result.record["nodes"]}
    assert (result.status, result.exit_code) == ("blocked", 3)
    assert statuses == {
        "ExampleGen": "done",
        "Trainer": "done",
        "Evaluator": "done",
        "Pusher": "skipped",
        "Report": "done",
    }
    assert result.verdict == verdict


@pytest.mark.parametrize("generation", ["argo", "tasks"])
def test_what_kubeflow_took_from_its_cache_is_shown_as_cached(root: Path, here: Path, generation: str) -> None:
    ends = {**PUSHED_ENDS, "example-gen": "CACHED", "trainer": "CACHED"}
    with cluster(ends=ends, at_end=partial(write_run, root), generation=generation) as server:
        result = run_pipeline(written_pipeline(root=str(root)), settings(server), here)
    statuses = {node["name"]: node["status"] for node in result.record["nodes"]}
    assert statuses["ExampleGen"] == statuses["Trainer"] == "cached"
    assert statuses["Evaluator"] == "done"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, even where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_leaves_the_run_going_and_says_how_to_go_on(root: Path, here: Path) -> None:
    pipeline = written_pipeline(root=str(root))
    with cluster(ends=PUSHED_ENDS, at_end=partial(write_run, root)) as server:

        def press_once(run_id: str) -> None:
            if len(server.asked("GET", "/runs/[^/]+$")) == 4:
                os.kill(os.getpid(), signal.SIGINT)

        server.on_look = press_once
        runner = KubeflowRunner(settings(server), here)
        with pytest.raises(LeftRunningError, match="goes on in the cluster") as left:
            runner.run(pipeline)
        (run,) = server.runs
        run_id = run.record["run_id"]
        assert f"--attach {run_id}" in str(left.value)
        assert f"--terminate {run_id}" in str(left.value)
        assert left.value.exit_code == 130
        assert run.record["state"] == "RUNNING"
        assert not server.asked("POST", "terminate")

        assert runner.attach(pipeline, run_id).status == "pushed"
        assert len(server.asked("POST", "/runs$")) == 1


def test_without_the_record_the_end_is_told_from_the_servers_view(here: Path) -> None:
    said: list[str] = []
    with cluster(ends=BLOCKED_ENDS) as server:
        result = run_pipeline(written_pipeline(root="/not/on/this/machine"), settings(server), here, say=said.append)
    assert (result.status, result.exit_code) == ("blocked", 3)
    assert "There is no run.json in /not/on/this/machine/runs/" in said[-1]
    assert json.loads((result.folder / "run.json").read_text())["status"] == "blocked"


def test_the_record_is_fetched_from_an_object_store(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    store = ThreadedMotoServer("127.0.0.1", 0)
    store.start()
    try:
        address = ":".join(str(part) for part in store.get_host_and_port())
        system = fs.S3FileSystem(
            endpoint_override=address, scheme="http", allow_bucket_creation=True, region="us-east-1"
        )
        system.create_dir("team")

        def leave(record: dict[str, Any]) -> None:
            content = {"run_id": record["run_id"], "status": "pushed", "verdict": VERDICT, "pushed": None, "nodes": []}
            for name, text in {"run.json": json.dumps(content), "report.html": "<html>from S3</html>"}.items():
                with system.open_output_stream(f"team/taxi/runs/{record['run_id']}/{name}") as stream:
                    stream.write(text.encode())

        root = f"s3://team/taxi?endpoint_override={address}&scheme=http&region=us-east-1"
        with cluster(ends=PUSHED_ENDS, at_end=leave) as server:
            result = run_pipeline(written_pipeline(root=root), settings(server), here)
    finally:
        store.stop()
    assert result.verdict == VERDICT
    assert result.report.read_text() == "<html>from S3</html>"


def test_the_compiled_taxi_pipeline_runs_under_the_names_of_its_components(root: Path, here: Path) -> None:
    from pipelines.ir.compile import Target, compile_pipeline
    from pipelines.ir.tasks import run_parameters
    from pipelines.spec import load_spec

    loaded = load_spec("taxi")
    compiled = compile_pipeline(loaded, Target("sluice:1", run_parameters(loaded, "/data.csv", str(root))))
    with cluster(ends=PUSHED_ENDS, at_end=partial(write_run, root)) as server:
        result = run_pipeline(compiled, settings(server), here, parameters={"epochs": 1})
    names = [node["name"] for node in result.record["nodes"]]
    assert names[:3] == ["Resolve", "ExampleGen", "Cleaner"]
    assert names.count("Report") == 1
    assert {"Trainer", "Evaluator", "Pusher"} <= set(names)
    assert result.exit_code == 0


def test_the_kfp_sdk_understands_the_server_that_these_tests_trust(root: Path, here: Path) -> None:
    import kfp

    with cluster(ends=PUSHED_ENDS, at_end=partial(write_run, root)) as server:
        result = run_pipeline(written_pipeline(root=str(root)), settings(server), here)
        client = kfp.Client(host=server.host)
        run = client.get_run(result.run_id)
        assert run.state == "SUCCEEDED"
        states = {each.display_name: each.state for each in run.run_details.task_details}
        assert states["pusher"] == "SUCCEEDED"
        assert client.get_pipeline_id("taxi") == server.pipelines[0]["pipeline_id"]
        versions = client.list_pipeline_versions(server.pipelines[0]["pipeline_id"]).pipeline_versions
        assert [version.display_name for version in versions] == [server.versions[0]["name"]]
        assert client.get_experiment(experiment_name="taxi").experiment_id == run.experiment_id
