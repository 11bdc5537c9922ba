"""The compiled pipeline in containers on this machine: the same artifacts as in this process, the same ways to fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.engine.examples import read_batches, split_directory
from components.engine.storage import RemoteFolder
from pipelines.spec import load_spec
from tests.factories import postgres_server
from tests.factories.s3_server import S3Server
from tests.factories.sluice_command import QUICK, Sluice, actions, environment
from tests.factories.small_project import write_project

DECIDED = "retraining.cool_down_hours=24"
"""Puts the decision to train into the pipeline; a first model is always wanted."""
AUC_NOISE = 0.02
"""TensorFlow in the image and on the host sum in another order."""


@dataclass
class Ran:
    """A finished run.

    Args:
        sluice: the command line on its folder.
        record: its `run.json`.
        printed: what it showed.
    """

    sluice: Sluice
    record: dict[str, Any]
    printed: str

    def output(self, node: str, key: str) -> Path:
        return Path(next(each for each in self.record["nodes"] if each["name"] == node)["outputs"][key])


def run(sluice: Sluice, *arguments: str, check: int = 0) -> Ran:
    done = sluice("run", *arguments, check=check, timeout=900)
    return Ran(sluice, sluice.latest(), done.stdout + done.stderr)


@pytest.fixture(scope="module")
def in_containers(tmp_path_factory: pytest.TempPathFactory, step_image: str) -> Ran:
    folder = tmp_path_factory.mktemp("docker")
    return run(Sluice(folder / "root", folder), "taxi", *QUICK, DECIDED, "--runner", "docker", "--image", step_image)


@pytest.fixture(scope="module")
def in_this_process(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("beam")
    return run(Sluice(folder / "root", folder), "taxi", *QUICK)


def rows(folder: Path, split: str) -> Counter[str]:
    """Return the examples of a split, each as often as it is there."""
    found: Counter[str] = Counter()
    for batch in read_batches(split_directory(str(folder), split), None, 4096):
        table = batch.select(sorted(batch.schema.names))
        found.update(json.dumps(row, default=str, sort_keys=True) for row in table.to_pylist())
    return found


def vocabularies(folder: Path) -> dict[str, bytes]:
    assets = folder / "transform_fn" / "assets"
    return {file.name: file.read_bytes() for file in assets.iterdir()}


def test_every_component_ran_in_its_own_container_and_the_model_is_served(in_containers: Ran):
    assert in_containers.record["status"] == "pushed"
    assert set(actions(in_containers.record).values()) == {"done"}
    assert len(in_containers.sluice.versions()) == 1
    steps = in_containers.sluice.root / "runs" / in_containers.record["run_id"] / "steps"
    told = {folder.name: json.loads((folder / "executor_input.json").read_text()) for folder in steps.iterdir()}
    assert told.keys() >= {"resolve", "example-gen", "trainer", "pusher"}
    # the open-source driver does not say the types of inputs, and neither did we
    given = [one for step in told.values() for one in step["inputs"]["artifacts"].values()]
    assert given
    assert all(one["artifacts"][0]["type"] == {"instanceSchema": ""} for one in given)


@pytest.mark.parametrize("split", ["train", "eval"])
@pytest.mark.parametrize(("node", "key"), [("ExampleGen", "examples"), ("Cleaner", "examples")])
def test_both_runners_give_the_same_examples(in_containers: Ran, in_this_process: Ran, node: str, key: str, split: str):
    found, wanted = (rows(each.output(node, key), split) for each in (in_containers, in_this_process))
    assert sum(wanted.values()) > 4000
    assert found == wanted


def test_both_runners_give_the_same_schema_and_transform_graph(in_containers: Ran, in_this_process: Ran):
    found, wanted = (each.output("SchemaGen", "schema") / "schema.pbtxt" for each in (in_containers, in_this_process))
    assert found.read_text() == wanted.read_text()
    graphs = [each.output("Transform", "transform_graph") for each in (in_containers, in_this_process)]
    assert vocabularies(graphs[0]) == vocabularies(graphs[1]) != {}
    summaries = [json.loads((graph / "summary.json").read_text()) for graph in graphs]
    assert summaries[0]["chains"] == summaries[1]["chains"]


def test_both_runners_give_the_same_metrics_within_the_noise_of_the_seed_and_the_same_verdict(
    in_containers: Ran, in_this_process: Ran
):
    found, wanted = (
        json.loads((each.output("Evaluator", "evaluation") / "metrics.json").read_text())
        for each in (in_containers, in_this_process)
    )
    assert found["examples"] == wanted["examples"]
    assert abs(found["overall"]["auc"]["value"] - wanted["overall"]["auc"]["value"]) <= AUC_NOISE
    assert in_containers.record["verdict"]["passed"] is in_this_process.record["verdict"]["passed"] is True
    rules = [[rule["rule"] for rule in each.record["verdict"]["rules"]] for each in (in_containers, in_this_process)]
    assert rules[0] == rules[1]


def test_a_second_run_has_nothing_to_do(in_containers: Ran, step_image: str):
    again = run(in_containers.sluice, "taxi", *QUICK, DECIDED, "--runner", "docker", "--image", step_image)
    assert again.record["status"] == "cached"


def test_the_decision_to_train_is_a_step_in_a_container(in_containers: Ran, step_image: str):
    assert in_containers.record["decision"]["rule"] == "first_model"
    again = ("--from", "ExampleValidator", "--runner", "docker", "--image", step_image)
    idle = run(in_containers.sluice, "taxi", *QUICK, DECIDED, *again)
    assert (idle.record["status"], idle.record["decision"]["rule"]) == ("skipped", "no_new_data")
    ended = actions(idle.record)
    assert ended["Decider"] == "done"
    assert {ended[name] for name in ("Transform", "Trainer", "Evaluator", "Pusher")} == {"skipped"}


def test_a_blocked_gate_skips_the_pusher_and_leaves_what_is_served(in_containers: Ran, step_image: str):
    sluice = in_containers.sluice
    served = sluice.versions()
    blocked = run(
        sluice, "taxi", *QUICK, "evaluation.gate=[auc >= 0.999]", "--runner", "docker", "--image", step_image, check=3
    )
    assert blocked.record["status"] == "blocked"
    assert actions(blocked.record)["Trainer"] == "cached"
    assert actions(blocked.record)["Pusher"] == "skipped"
    assert "the gate blocked the model" in next(n["why"] for n in blocked.record["nodes"] if n["name"] == "Pusher")
    assert sluice.versions() == served


MODEL = """import keras


def build(inputs, task, num_classes):
    if {broken}:
        raise ValueError("the tower is too narrow")
    given = {{each.name: keras.Input((each.width,), name=each.name, dtype=each.dtype) for each in inputs}}
    dense = [tensor for each, tensor in zip(inputs, given.values()) if not each.is_ids]
    joined = keras.layers.Concatenate()(dense)
    return keras.Model(given, keras.layers.Dense(1, activation="sigmoid")(joined))
"""


def test_a_step_that_fails_says_why_and_the_next_run_goes_on_there(step_image: str, tmp_path: Path):
    content = yaml.safe_load(load_spec("taxi").path.read_text())
    content["model"] = {"module": "narrow.py", "builder": "build"}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "narrow.py").write_text(MODEL.format(broken="True"))
    sluice = Sluice(tmp_path / "root", tmp_path)
    options = ("own.yaml", *QUICK, "evaluation.gate=[auc >= 0.5]", "--runner", "docker", "--image", step_image)
    failed = run(sluice, *options, check=4)
    assert failed.record["status"] == "failed"
    assert failed.record["failure"]["component"] == "Trainer"
    assert "narrow.py:6: ValueError: the tower is too narrow" in failed.record["failure"]["message"]
    assert "narrow.py:6: ValueError: the tower is too narrow" in " ".join(failed.printed.split())
    (tmp_path / "narrow.py").write_text(MODEL.format(broken="False"))
    mended = run(sluice, *options)
    assert mended.record["status"] == "pushed"
    done = {name for name, status in actions(mended.record).items() if status == "done"}
    assert done == {"Trainer", "Evaluator", "Pusher"}


def test_the_container_of_a_killed_run_is_gone_with_the_next_one(step_image: str, engine: str, tmp_path: Path):
    sluice = Sluice(tmp_path / "root", tmp_path)
    options = ("taxi", *QUICK, "--to", "Cleaner", "--runner", "docker", "--image", step_image)
    process = sluice.start("run", *options)

    def running() -> list[str]:
        label = f"label=sluice.root={sluice.root.resolve()}"
        return subprocess.run(
            [engine, "ps", "--quiet", "--filter", label], capture_output=True, text=True, check=True
        ).stdout.split()

    try:
        deadline = time.monotonic() + 120
        while not running() and time.monotonic() < deadline:
            time.sleep(0.1)
        left = running()
        assert left
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    again = run(sluice, *options)
    assert actions(again.record)["Cleaner"] == "done"
    assert running() == []


@pytest.mark.usefixtures("s3_credentials")
def test_steps_in_containers_work_on_a_root_on_s3(step_image: str, s3_server: S3Server, tmp_path: Path):
    words = ["run", "taxi", "--to", "StatisticsGen", "--runner", "docker", "--image", step_image]
    command = [sys.executable, "-m", "pipelines.cli", *words, "--root", s3_server.url("docker")]
    elsewhere = {**environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for expected in ("done", "cached"):
        done = subprocess.run(command, cwd=tmp_path, env=elsewhere, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        names = [file.name for file in RemoteFolder(s3_server.url("docker")).files("runs")]
        newest = max(name for name in names if name.endswith("/run.json"))
        record = json.loads(RemoteFolder(s3_server.url("docker")).read(newest) or b"")
        assert actions(record)["StatisticsGen"] == expected
    kept = [file.name for file in RemoteFolder(s3_server.url("docker")).files("artifacts")]
    assert any(name.endswith("FeatureStats.pb") for name in kept)


def test_a_step_in_a_container_reads_a_database_with_the_password_of_this_process(
    step_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    spec = write_project(tmp_path / "mine", epochs=2, auc=0.5)
    query = "SELECT g * 0.2 AS radius, (g % 9) * 1.5 AS texture, 0.1 AS smoothness, g % 2 AS target"
    with postgres_server.running() as server:
        monkeypatch.setenv("PGPASSWORD", postgres_server.PASSWORD)
        changed = f"{server.url}\n  query: {query} FROM generate_series(1, 300) g"
        spec.write_text(spec.read_text().replace("cells.csv", changed))
        sluice = Sluice(tmp_path / "root", tmp_path)
        ran = run(sluice, str(spec), "--to", "ExampleGen", "--runner", "docker", "--image", step_image)
        assert actions(ran.record)["ExampleGen"] == "done"
        assert sum(rows(ran.output("ExampleGen", "examples"), "train").values()) > 100
        kept = [file for file in (tmp_path / "root").rglob("*") if file.is_file()]
        assert not any(postgres_server.PASSWORD.encode() in file.read_bytes() for file in kept)
