"""A pipeline whose root is a bucket on a real S3 server: used from several machines, and through a line that breaks."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.engine.storage import RemoteFolder, StorageError
from components.errors import ComponentError, SpecError
from components.registry import Registry
from pipelines import lease
from pipelines.api import Pipeline
from pipelines.lease import Lease
from pipelines.plan import EVERYTHING, Choices
from pipelines.run_record import RunResult
from pipelines.state import PipelineRoot
from tests.factories.s3_server import BreakingProxy, Fault, S3Server
from tests.factories.small_project import write_cells, write_project

# TFX calls what protobuf calls deprecated, so near to Sluice's own frames that it is taken for Sluice's
pytestmark = [
    pytest.mark.usefixtures("s3_credentials"),
    pytest.mark.filterwarnings("ignore:label:DeprecationWarning"),
]
DATA_ONLY = Choices(to_node="SchemaGen")


class Machine:
    """One of several machines that work on a root: it has a cache of its own and nothing else.

    Args:
        s3_server: where the root is.
        folder: of this machine.
        monkeypatch: to switch to this machine.
        name: of the root.
    """

    def __init__(self, s3_server: S3Server, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.server, self.folder, self.monkeypatch, self.name = s3_server, folder, monkeypatch, name
        self.spec = write_project(folder / "project")
        self.port: int | None = None

    @property
    def url(self) -> str:
        return self.server.url(self.name, self.port)

    def pipeline(self, *overrides: str) -> Pipeline:
        self.monkeypatch.setenv("XDG_CACHE_HOME", str(self.folder / "cache"))
        return Pipeline.load(self.spec, overrides, self.url)

    def run(self, *overrides: str, choices: Choices = EVERYTHING) -> RunResult:
        return self.pipeline(*overrides).run(choices)

    def bucket(self) -> RemoteFolder:
        """Return the root as it is, past any proxy."""
        return RemoteFolder(self.server.url(self.name))


@pytest.fixture
def machine(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Machine]:
    def make(name: str) -> Machine:
        return Machine(s3_server, tmp_path / name, monkeypatch, f"roots/{tmp_path.name}")

    return make


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[BreakingProxy]:
    made = BreakingProxy(s3_server.port)
    yield made
    made.close()


def statuses(run: RunResult) -> dict[str, str]:
    return {node["name"]: node["status"] for node in run.record["nodes"]}


def strings(value: Any) -> Iterator[str]:
    """Yield every string of a JSON value."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(inner)


def test_what_one_machine_made_another_goes_on_with(machine):
    here, there = machine("here"), machine("there")
    first = here.run()
    assert first.status == "pushed"
    version = first.pushed["version"]
    assert first.pushed["destination"] == f"s3://bucket/{here.name}/serving/{version}"
    names = {file.name for file in here.bucket().files()}
    assert {f"serving/{version}/saved_model.pb", f"registry/{version}.json", "metadata.sqlite"} <= names
    assert {f"runs/{first.run_id}/{file}" for file in ("run.json", "report.html", "log.txt", "spec.yaml")} <= names
    assert not any(name.startswith("lock/") for name in names)
    for name in names:
        if name.split("/")[0] in {"state", "registry", "serving", "runs"} and name.endswith(".json"):
            found = json.loads(here.bucket().read(name))
            found.pop("log", None)
            found.pop("spec_file", None)
            local = [text for text in strings(found) if str(here.folder / "cache") in text]
            assert local == [], f"{name} names folders of one machine"

    again = there.run()
    assert again.status == "cached"
    assert again.verdict["passed"]
    assert again.metrics["auc"] == first.metrics["auc"]

    third = there.run("training.epochs=3")
    assert third.status == "pushed"
    assert statuses(third)["Transform"] == "cached"
    assert third.verdict["baseline"]["version"] == version
    assert third.pushed["version"] > version
    workspace = there.pipeline().root.folder
    assert not list((workspace / "artifacts" / "ExampleGen").glob("*/*")), "what nobody read was not fetched"

    # back on the first machine: both runs, the served model, and the comparison of two runs
    pipeline = here.pipeline()
    assert [run["status"] for run in pipeline.runs()] == ["pushed", "cached", "pushed"]
    assert pipeline.runs()[2]["metrics"]["auc"] == third.metrics["auc"], "without a look at the artifacts"
    assert pipeline.root.run(third.run_id)["verdict"]["passed"]
    (answer,) = pipeline.predict([{"radius": 10.0, "texture": 12.0, "smoothness": 0.1}]).rows()
    assert 0.5 < answer["probability"] <= 1
    assert pipeline.serving_folder(version).joinpath(str(version), "saved_model.pb").is_file()
    assert here.run("training.epochs=3").status == "cached"


def test_a_second_run_is_refused_by_the_name_of_the_first(machine, monkeypatch):
    here, there = machine("here"), machine("there")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here.folder / "cache"))
    with PipelineRoot(here.url).lock("20261124-070000"), pytest.raises(SpecError) as refused:
        there.run()
    (problem,) = refused.value.problems
    assert "one run at a time: run 20261124-070000 (process" in str(problem)
    assert "--wait" in str(problem)
    assert [file.name for file in here.bucket().files("lock")] == []
    assert there.run(choices=DATA_ONLY).status == "partial"


def test_a_run_that_waits_begins_when_the_other_ends(machine):
    here, there = machine("here"), machine("there")
    held = Lease(here.bucket())
    held.acquire("first")
    threading.Timer(2.0, held.release).start()
    began = time.monotonic()
    assert there.pipeline().run(DATA_ONLY, wait=True).status == "partial"
    assert time.monotonic() - began > 2.0


def test_of_many_that_claim_at_once_never_two_hold(machine):
    bucket = machine("here").bucket()
    holding, most, won = [], [], []
    gate = threading.Barrier(6)

    def claim(number: int) -> None:
        mine = Lease(RemoteFolder(bucket.full_url))
        gate.wait()
        try:
            mine.acquire(f"run{number}")
        except SpecError:
            return
        holding.append(number)
        most.append(len(holding))
        won.append(number)
        time.sleep(0.3)
        holding.remove(number)
        mine.release()

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) <= {1}
    assert bucket.files("lock") == []


def test_the_claim_of_a_dead_run_runs_out_and_the_dead_run_notices(machine, monkeypatch):
    bucket = machine("here").bucket()
    frozen = Lease(bucket)
    frozen.holder["machine"] = "another"
    frozen.acquire("frozen")
    frozen._stop.set()  # as when its machine sleeps: it renews no more
    with pytest.raises(SpecError, match="run frozen .* If that one died, try again in 1[12]. s"):
        Lease(bucket).acquire("second")
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.0)
    time.sleep(2.5)
    second = Lease(bucket)
    second.acquire("second")
    with pytest.raises(StorageError, match="This run no longer holds"):
        frozen.check()
    second.check()
    second.release()


def test_a_killed_run_of_this_machine_holds_nothing(machine):
    bucket = machine("here").bucket()
    killed = Lease(bucket)
    killed.holder["pid"] = 2**22 + 1  # larger than any process id
    killed.acquire("killed")
    killed._stop.set()
    second = Lease(bucket)
    second.acquire("second")
    second.release()


def test_an_upload_cut_off_fails_the_component_and_loses_nothing(machine, proxy):
    here, there = machine("here"), machine("there")
    here.port = proxy.port
    fault = proxy.add(Fault(r"PUT \S+/artifacts/Trainer/model/\S+keras", after_bytes=20_000))
    failed = here.run()
    assert failed.status == "failed"
    assert fault.hits
    assert failed.record["failure"]["component"] == "Trainer"
    assert "Could not write s3://bucket/" in failed.record["failure"]["message"]
    assert "what was finished is kept" in failed.record["failure"]["remedy"]
    assert failed.exit_code == 4
    names = [file.name for file in here.bucket().files()]
    assert not any(name.startswith("state/Trainer") for name in names)
    assert any("artifacts/Trainer/model" in name for name in names), "half of it is there"
    assert not any(name.endswith(".complete.json") and "Trainer/model/" in name for name in names)

    # another machine does not take the half for the whole
    assert {step.node.name: step.action for step in there.pipeline().plan().steps}["Trainer"] == "run"

    # this one had finished training: it sends that and goes on
    fault.times = fault.hits
    done = here.run()
    assert done.status == "pushed"
    assert statuses(done)["Trainer"] == "cached"
    assert statuses(done)["Evaluator"] == "done"
    assert there.run().status == "cached"


def test_when_another_machine_went_on_what_was_not_sent_is_dropped(machine, proxy):
    here, there = machine("here"), machine("there")
    here.port = proxy.port
    proxy.add(Fault(r"PUT \S+/state/SchemaGen"))
    assert here.run(choices=DATA_ONLY).status == "failed"
    assert there.run(choices=DATA_ONLY).status == "partial"
    proxy.faults.clear()
    result = here.run(choices=DATA_ONLY)
    assert result.status == "cached"
    assert len(here.pipeline().runs()) == 3


def test_a_download_cut_off_fails_the_component_and_the_next_run_goes_on(machine, proxy):
    here, there = machine("here"), machine("there")
    here.run(choices=DATA_ONLY)
    there.port = proxy.port
    fault = proxy.add(Fault(r"GET \S+/artifacts/Cleaner/\S+train", after_bytes=2_000, up=False))
    failed = there.run(choices=Choices(to_node="Transform"))
    assert fault.hits
    assert failed.status == "failed"
    assert failed.record["failure"]["component"] == "Transform"
    assert "Could not read s3://bucket/" in failed.record["failure"]["message"]
    workspace = there.pipeline().root.folder
    assert not [path for path in workspace.glob("artifacts/Cleaner/examples/*")]
    proxy.faults.clear()
    result = there.run(choices=Choices(to_node="Transform"))
    assert result.status == "partial"
    assert statuses(result)["Transform"] == "done"


def test_a_push_cut_off_serves_nothing_new_and_the_next_run_pushes(machine, proxy):
    here = machine("here")
    here.port = proxy.port
    fault = proxy.add(Fault(r"PUT \S+/serving/\d+/saved_model.pb"))
    failed = here.run()
    assert failed.status == "failed"
    assert failed.record["failure"]["component"] == "Pusher"
    assert Registry(here.server.url(f"{here.name}/registry")).all() == []
    assert here.bucket().files("serving"), "half of a version is there"
    assert list(here.pipeline().serving_folder().glob("*")) == []
    proxy.faults.clear()
    fault.times = fault.hits
    done = here.run()
    assert done.status == "pushed"
    assert statuses(done)["Evaluator"] == "cached"
    (model,) = Registry(here.server.url(f"{here.name}/registry")).all()
    assert model.version == done.pushed["version"]
    assert model.model_uri.startswith("root://artifacts/Trainer/model/")


def test_a_run_whose_last_words_could_not_be_sent_says_so_and_the_next_sends_them(machine, proxy):
    here = machine("here")
    here.port = proxy.port
    proxy.add(Fault(r"PUT \S+/report.html|POST \S+/report.html"))
    with pytest.raises(
        ComponentError, match=r"The run ended \(partial\), but what it says of itself could not be sent"
    ):
        here.run(choices=DATA_ONLY)
    proxy.faults.clear()
    first = here.run(choices=DATA_ONLY)
    runs = {file.name.split("/")[1] for file in here.bucket().files("runs") if file.name.endswith("report.html")}
    assert len(runs) == 2
    assert first.run_id in runs


@pytest.mark.parametrize("cut", ["artifacts/ExampleGen/examples/1/Split-eval", "metadata.sqlite"])
def test_a_record_comes_after_all_that_it_speaks_of(machine, proxy, cut):
    here = machine("here")
    here.port = proxy.port
    fault = proxy.add(Fault(rf"(PUT|POST) \S+/{cut}"))
    assert here.run(choices=DATA_ONLY).status == "failed"
    assert fault.hits
    assert [file.name for file in here.bucket().files("state")] == ["state/identity.json"]


def test_a_look_at_the_runs_leaves_the_folder_of_a_run_at_work_alone(machine):
    here, there = machine("here"), machine("there")
    here.run(choices=DATA_ONLY)
    pipeline = here.pipeline()
    at_work = pipeline.root.folder / "artifacts" / "Trainer" / "model" / "99"
    with pipeline.root.lock("20261124-070000"):
        at_work.mkdir(parents=True)
        here.bucket().write("metadata.sqlite", b"as if another machine had gone on")
        assert len(here.pipeline().runs()) == 1
        assert at_work.is_dir()
        assert here.pipeline().root.metadata.read_bytes().startswith(b"SQLite")
    assert len(here.pipeline().runs()) == 1
    assert not at_work.exists(), "its number will be given out again"
    assert len(there.pipeline().runs()) == 1


def test_what_was_tidied_up_before_it_was_sent_is_made_again(machine, proxy):
    here = machine("here")
    here.port = proxy.port
    proxy.add(Fault(r"PUT \S+/artifacts/SchemaGen/\S+schema.pbtxt"))
    assert here.run(choices=DATA_ONLY).status == "failed"
    proxy.faults.clear()
    for folder in here.pipeline().root.folder.glob("artifacts/SchemaGen/schema/*"):
        shutil.rmtree(folder)
    again = here.run(choices=DATA_ONLY)
    assert again.status == "partial"
    assert statuses(again) | {"StatisticsGen": "cached", "SchemaGen": "done"} == statuses(again)


def test_an_emptied_root_begins_anew(machine):
    here = machine("here")
    here.run(choices=DATA_ONLY)
    for name in ("state", "artifacts", "runs", "registry"):
        here.bucket().delete_folder(name)
    here.bucket().delete("metadata.sqlite")
    again = here.run(choices=DATA_ONLY)
    assert statuses(again)["ExampleGen"] == "done"
    assert [run["run_id"] for run in here.pipeline().runs()] == [again.run_id]


def test_a_root_that_cannot_be_reached_is_told_before_anything_runs(machine):
    here = machine("here")
    here.port = 1
    with pytest.raises(SpecError, match=r"--root: got .*127.0.0.1:1"):
        here.run()
    with pytest.raises(SpecError, match="--root: got"):
        here.pipeline().plan()


def test_raw_data_in_a_bucket_are_read_and_their_change_is_seen(machine, tmp_path):
    here = machine("here")
    write_cells(tmp_path / "cells.csv")
    raw = RemoteFolder(here.server.url(f"{here.name}-raw"))
    raw.write("2026/cells.csv", (tmp_path / "cells.csv").read_bytes())
    address = here.server.url(f"{here.name}-raw/2026")
    here.spec = write_project(here.folder / "remote", data=address)
    first = here.run(choices=DATA_ONLY)
    assert first.status == "partial"
    examples = next(node for node in first.record["nodes"] if node["name"] == "ExampleGen")["summary"]
    assert examples["rows"] == 569
    assert here.run(choices=DATA_ONLY).status == "cached"
    rows = (tmp_path / "cells.csv").read_text().splitlines()
    raw.write("2026/cells.csv", "\n".join(rows[:301]).encode())
    changed = {step.node.name: step.why for step in here.pipeline().plan(DATA_ONLY).steps}
    assert changed["ExampleGen"] == "the raw data changed"
