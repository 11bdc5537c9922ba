"""The workers of a training as containers of the step image on one network, with names and numbers as pods have."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from components.engine.container_engine import run_command
from components.errors import ComponentError
from components.training.job import Job
from components.training.launch import launch
from tests.factories.trainer_artifacts import Artifacts, job_arguments, make_artifacts

TRAINING = {"epochs": 3, "batch_size": 256, "strategy": "multi_worker", "tensorboard": False}
LOCKED_DOWN = ["--read-only", "--tmpfs", "/tmp:exec", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return make_artifacts(tmp_path_factory.mktemp("taxi"), "binary_classification", rows=4000)


def make_job(artifacts: Artifacts, folder: Path, engine: str, step_image: str, **training: Any) -> Job:
    given = job_arguments(artifacts, folder / "output", {"family": "mlp"}, {**TRAINING, **training})
    given["runtime"] |= {
        "root": str(folder / "root"),
        "trainer_key": "0123456789abcdef",
        "progress": str(folder / "progress.jsonl"),
        "workers": 2,
        "launcher": "containers",
        "container_engine": engine,
        "worker_image": step_image,
        "container_options": LOCKED_DOWN,
    }
    return Job(**given)


def left_over(engine: str) -> list[str]:
    """Return containers and networks of trainings that are still there."""
    found = []
    for kind in (["ps", "--all"], ["network", "ls"]):
        named = "{{.Names}}" if kind[0] == "ps" else "{{.Name}}"
        command = [engine, *kind, "--filter", "name=sluice-train-0123456789", "--format", named]
        found += subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return found


def test_two_containers_train_together_on_a_read_only_system_without_capabilities(
    artifacts: Artifacts, tmp_path: Path, engine: str, step_image: str, capsys: pytest.CaptureFixture[str]
):
    job = make_job(artifacts, tmp_path, engine, step_image, optimizer={"adam": {"learning_rate": 0.01}})
    launch(job)
    log = capsys.readouterr().out
    for index in (0, 1):
        (line,) = [each for each in log.splitlines() if each.startswith(f'worker {index}: {{"joining"')]
        joining = json.loads(line.partition(": ")[2])["joining"]
        assert joining["worker"] == index
        assert [address.rpartition(":")[2] for address in joining["workers"]] == ["2222", "2222"]
    history = json.loads((job.run_folder / "history.json").read_text())
    assert history["epochs"][-1]["loss"] < 0.7 * history["epochs"][0]["loss"]
    assert history["epochs"][-1]["val_auc"] > 0.85
    assert (job.serving_folder / "saved_model.pb").is_file()
    texts = [json.loads(line)["text"] for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [text.split(",")[0] for text in texts if "val_auc" in text] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert left_over(engine) == []
    assert not (tmp_path / "root" / "multi-worker" / "0123456789abcdef").exists()


def test_a_container_that_is_killed_ends_the_training_and_the_next_one_goes_on(
    artifacts: Artifacts, tmp_path: Path, engine: str, step_image: str
):
    options: dict[str, Any] = {"epochs": 12, "batch_size": 128, "steps_per_execution": 2}
    job = make_job(artifacts, tmp_path, engine, step_image, **options)
    kept = tmp_path / "root" / "multi-worker" / "0123456789abcdef"

    def kill_one() -> None:
        deadline = time.monotonic() + 240
        while not (kept / "checkpoint" / "last_epoch.npz").is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        (one,) = [name for name in left_over(engine) if name.endswith("-1")]
        subprocess.run([engine, "kill", one], check=True, capture_output=True)

    killer = threading.Thread(target=kill_one)
    killer.start()
    with pytest.raises(ComponentError, match=r"Worker 1 of 2 \(container sluice-train-\S+-1\) was killed by SIGKILL"):
        launch(job)
    killer.join()
    assert left_over(engine) == []
    assert (kept / "checkpoint" / "last_epoch.npz").is_file()
    assert not (kept / "inputs").exists()
    launch(job)
    history = json.loads((job.run_folder / "history.json").read_text())
    assert history["resumed_from_epoch"] >= 1
    assert [each["epoch"] for each in history["epochs"]] == list(range(1, 13))
    assert not kept.exists()


def test_a_worker_whose_others_do_not_come_says_who_is_missing(engine: str, step_image: str):
    environment = {
        "SLUICE_JOB": "/tmp/job",
        "SLUICE_WORKERS": "2",
        "JOB_COMPLETION_INDEX": "0",
        "SLUICE_WORKER_HOSTS": "train-{index}.nowhere.invalid",
        "SLUICE_WORKER_TIMEOUT_SECONDS": "15",
    }
    given = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    # The worker knows itself by its own name, as a pod does.
    hosts = ["--add-host", "train-0.nowhere.invalid:127.0.0.1"]
    command = [*run_command(engine), "--rm", *given, *hosts, "--entrypoint", "", *LOCKED_DOWN, step_image]
    done = subprocess.run(
        [*command, "python", "-m", "components.training.worker"], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 4, done.stderr
    failure = json.loads(done.stdout.splitlines()[-1])["failure"]
    assert "Worker 0 waited 15 s for the others." in failure["message"]
    assert "No answer from train-1.nowhere.invalid:2222 (the name is not known)" in failure["message"]
    assert "network policy" in failure["remedy"]
