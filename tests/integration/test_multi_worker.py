"""Two workers, real processes that TensorFlow's collectives connect, learn what one process learns."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
import pytest

from components.engine.storage import RemoteFolder
from components.errors import ComponentError
from components.training.job import Job
from components.training.launch import launch
from components.training.run_fn import run_fn, run_job
from tests.factories.s3_server import CREDENTIALS, S3Server
from tests.factories.trainer_artifacts import Artifacts, job_arguments, make_artifacts

pytestmark = pytest.mark.timeout(900)  # a busy machine takes a minute to start two TensorFlows

REPOSITORY = Path(__file__).parents[2]
MODEL = {"family": "wide_and_deep", "hidden_units": [16]}
TRAINING = {"epochs": 3, "batch_size": 256, "optimizer": {"adam": {"learning_rate": 0.01}}, "tensorboard": False}
PROGRAM = """
import json, sys
from pathlib import Path
from components.errors import ComponentError
from components.training.launch import launch
from components.training.job import Job
given = json.loads(Path(sys.argv[1]).read_text())
folders = {name: Path(given[name]) for name in ("model_folder", "serving_folder", "run_folder")}
try:
    launch(Job(**{**given, **folders}))
except ComponentError as error:
    print("FAILED", json.dumps([error.message, error.remedy]))
    sys.exit(4)
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    return make_artifacts(tmp_path_factory.mktemp("taxi"), "binary_classification", rows=5000)


def arguments(artifacts: Artifacts, output: Path, model: dict[str, Any], workers: int, **training: Any) -> dict:
    strategy = "multi_worker" if workers > 1 else "none"
    found = job_arguments(artifacts, output, model, {**TRAINING, "strategy": strategy, **training})
    found["runtime"] |= {
        "root": str(output),
        "trainer_key": "key",
        "progress": str(output / "progress.jsonl"),
        "workers": workers,
        "launcher": "processes",
    }
    output.mkdir(parents=True, exist_ok=True)
    return found


def trained(output: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Return the history and the weights of what was exported."""
    history = json.loads((output / "run" / "history.json").read_text())
    return history, keras.models.load_model(output / "model" / "model.keras").get_weights()


def assert_served_as_trained(output: Path) -> None:
    import tensorflow as tf

    sample = json.loads((output / "model" / "sample.json").read_text())
    records = [base64.b64decode(each) for each in sample["examples_b64"]]
    served = tf.saved_model.load(str(output / "model" / "Format-Serving")).signatures["serving_default"]
    answers = served(examples=tf.constant(records))["probability"].numpy()
    np.testing.assert_allclose(answers, np.array(sample["outputs"]["probability"]), rtol=1e-5)


@pytest.mark.parametrize("cache", ["always", "never"])
def test_two_workers_learn_what_one_process_learns(artifacts: Artifacts, tmp_path: Path, cache: str):
    run_job(Job(**arguments(artifacts, tmp_path / "one", MODEL, 1, cache=cache)))
    launch(Job(**arguments(artifacts, tmp_path / "two", MODEL, 2, cache=cache)))
    expected, one = trained(tmp_path / "one")
    history, two = trained(tmp_path / "two")
    assert history["epochs"][-1]["val_loss"] < 0.6 * history["epochs"][0]["loss"]
    for epoch, same in zip(history["epochs"], expected["epochs"], strict=True):
        assert epoch.keys() == same.keys()
        for name in epoch.keys() - {"seconds"}:
            assert epoch[name] == pytest.approx(same[name], rel=1e-4), name
    for left, right in zip(one, two, strict=True):
        np.testing.assert_allclose(right, left, atol=2e-4)
    assert_served_as_trained(tmp_path / "two")
    assert not (tmp_path / "two" / "checkpoints" / "key").exists()
    texts = [json.loads(line)["text"] for line in (tmp_path / "two" / "progress.jsonl").read_text().splitlines()]
    assert texts[0] == "starting 2 workers (processes)"
    # Only the chief tells its progress, so each epoch comes once.
    assert [text.split(",")[0] for text in texts if "val_auc" in text] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]


def test_a_training_step_of_the_users_own_is_made_by_two_workers(artifacts: Artifacts, tmp_path: Path):
    one = arguments(artifacts, tmp_path / "one", MODEL, 1)
    two = arguments(artifacts, tmp_path / "two", MODEL, 2, loop={"module": "loop.py"})
    two["config"]["loop_source"] = (REPOSITORY / "tests" / "factories" / "own_models" / "loop.py").read_text()
    run_job(Job(**one))
    launch(Job(**two))
    history, weights = trained(tmp_path / "two")
    assert all(epoch["gradient_norm"] > 0 for epoch in history["epochs"])
    for left, right in zip(trained(tmp_path / "one")[1], weights, strict=True):
        np.testing.assert_allclose(right, left, atol=2e-4)
    assert_served_as_trained(tmp_path / "two")


def test_the_gradient_of_a_step_is_that_of_the_whole_batch(artifacts: Artifacts, tmp_path: Path):
    """One step of plain descent from the same weights: what changes is the gradient. An odd number of rows, at that."""
    options: dict[str, Any] = {"epochs": 1, "batch_size": 10_000, "optimizer": {"sgd": {"learning_rate": 1.0}}}
    model = {"family": "mlp", "hidden_units": [8]}
    run_job(Job(**arguments(artifacts, tmp_path / "one", model, 1, **options)))
    launch(Job(**arguments(artifacts, tmp_path / "two", model, 2, **options)))
    for left, right in zip(trained(tmp_path / "one")[1], trained(tmp_path / "two")[1], strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-5, atol=1e-6)


def test_what_is_a_workers_own_is_the_same_in_all_in_the_end(artifacts: Artifacts, tmp_path: Path):
    """Moving averages of batch normalization, dropout's state, decisions on the evaluation loss; the loop compares."""
    model = {"family": "mlp", "hidden_units": [16], "dropout": 0.2, "batch_normalization": True}
    options: dict[str, Any] = {
        "epochs": 4,
        "early_stopping": {"patience": 1},
        "reduce_learning_rate": {"patience": 1},
        "tensorboard": True,
        "steps_per_execution": 3,
    }
    launch(Job(**arguments(artifacts, tmp_path, model, 2, **options)))
    history, _ = trained(tmp_path)
    assert history["epochs"][-1]["val_auc"] > 0.85
    assert history["best_epoch"] >= 1
    assert list((tmp_path / "run" / "tensorboard" / "validation").iterdir())
    assert_served_as_trained(tmp_path)


def test_an_error_of_a_worker_is_the_trainers_with_place_and_remedy(artifacts: Artifacts, tmp_path: Path):
    options: dict[str, Any] = {"epochs": 30, "optimizer": {"sgd": {"learning_rate": 1e30, "momentum": 0.99}}}
    with pytest.raises(
        ComponentError, match=r"Worker \d of 2 \(process \d+\) failed: The training loss became"
    ) as error:
        launch(Job(**arguments(artifacts, tmp_path, {"family": "mlp"}, 2, **options)))
    assert error.value.spec_path == "training.optimizer"
    assert error.value.remedy.startswith("Lower the learning rate")
    assert not [each for each in psutil.Process().children(recursive=True) if "training.worker" in _command(each)]


def start(given: dict[str, Any], folder: Path, name: str) -> subprocess.Popen[bytes]:
    """Start a Trainer in a process of its own; its log is NAME.log."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps({key: str(v) if isinstance(v, Path) else v for key, v in given.items()}))
    log = (folder / f"{name}.log").open("wb")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(file)], cwd=REPOSITORY, env=environment, stdout=log, stderr=log
    )


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def wait_for_epoch(progress: Path, trainer: subprocess.Popen[bytes], epoch: int) -> dict[int, psutil.Process]:
    """Wait until an epoch is done; return the workers by their index."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and trainer.poll() is None:
        text = progress.read_text() if progress.exists() else ""
        if f"epoch {epoch}/" in text and "val_loss" in text.split(f"epoch {epoch}/")[-1]:
            children = psutil.Process(trainer.pid).children(recursive=True)
            workers = [each for each in children if "training.worker" in _command(each)]
            return {int(each.environ()["SLUICE_WORKER_INDEX"]): each for each in workers}
        time.sleep(0.02)
    raise AssertionError("the epoch did not come")


LONG: dict[str, Any] = {"epochs": 12, "batch_size": 128, "steps_per_execution": 2}


@pytest.fixture(scope="module")
def killed(artifacts: Artifacts, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Kill worker 1 after some epochs; return the folder and what the Trainer said."""
    folder = tmp_path_factory.mktemp("killed")
    trainer = start(arguments(artifacts, folder, {"family": "mlp"}, 2, **LONG), folder, "first")
    workers = wait_for_epoch(folder / "progress.jsonl", trainer, 3)
    began = time.monotonic()
    workers[1].send_signal(signal.SIGKILL)
    assert trainer.wait(60) == 4
    assert time.monotonic() - began < 30
    assert psutil.wait_procs(list(workers.values()), timeout=5)[1] == []
    return folder, (folder / "first.log").read_text()


def test_a_killed_worker_ends_the_others_and_is_named(killed: tuple[Path, str]):
    folder, log = killed
    message, remedy = json.loads(log.split("FAILED ")[1])
    assert message.startswith("Worker 1 of 2 (process ")
    assert "was killed by SIGKILL" in message
    assert "The others were stopped." in message
    assert "the memory did not suffice" in remedy
    assert "goes on after the last checkpoint" in remedy
    assert not (folder / "run" / "history.json").exists()
    assert (folder / "checkpoints" / "key" / "last_epoch.npz").is_file()


def test_started_again_it_goes_on_after_the_last_whole_epoch(artifacts: Artifacts, killed: tuple[Path, str]):
    folder = killed[0]
    before = (folder / "progress.jsonl").read_text().count("val_loss")
    launch(Job(**arguments(artifacts, folder, {"family": "mlp"}, 2, **LONG)))
    history, weights = trained(folder)
    assert 3 <= history["resumed_from_epoch"] <= before
    assert [each["epoch"] for each in history["epochs"]] == list(range(1, 13))
    whole = folder / "whole"
    launch(Job(**arguments(artifacts, whole, {"family": "mlp"}, 2, **LONG)))
    uninterrupted, expected = trained(whole)
    assert uninterrupted["resumed_from_epoch"] == 0
    for left, right in zip(weights, expected, strict=True):
        np.testing.assert_allclose(left, right, atol=1e-5)


def test_with_a_root_in_a_bucket_another_machine_goes_on(
    artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    server = S3Server(tmp_path / "s3.log")
    root = RemoteFolder(server.url("taxi"))
    given = [arguments(artifacts, tmp_path / name, {"family": "mlp"}, 2, **LONG) for name in ("one", "another")]
    for each in given:
        each["runtime"]["remote"] = root.full_url
    trainer = start(given[0], tmp_path / "one", "first")
    wait_for_epoch(tmp_path / "one" / "progress.jsonl", trainer, 3)[1].kill()
    assert trainer.wait(60) == 4
    launch(Job(**given[1]))
    assert trained(tmp_path / "another")[0]["resumed_from_epoch"] >= 2
    assert root.files("checkpoints") == []
    server.stop()


def test_workers_end_when_the_trainer_is_killed(artifacts: Artifacts, tmp_path: Path):
    trainer = start(arguments(artifacts, tmp_path, {"family": "mlp"}, 2, **LONG), tmp_path, "killed")
    workers = wait_for_epoch(tmp_path / "progress.jsonl", trainer, 1)
    trainer.kill()
    trainer.wait()
    assert psutil.wait_procs(list(workers.values()), timeout=15)[1] == []


def test_the_trainer_starts_workers_for_this_strategy_only(artifacts: Artifacts, tmp_path: Path):
    """`run_fn` is what TFX calls; with one worker it refuses before anything starts."""
    from types import SimpleNamespace

    given = arguments(artifacts, tmp_path, {"family": "mlp"}, 2)
    given["runtime"]["workers"] = 1
    arguments_of_tfx = SimpleNamespace(
        hyperparameters=None,
        custom_config={
            "config": json.dumps(given["config"]),
            "runtime": json.dumps(given["runtime"]),
            "raw_folder": given["raw_folder"],
        },
        train_files=[f"{given['train_folder']}/*"],
        eval_files=[f"{given['eval_folder']}/*"],
        transform_graph_path=given["transform_graph"],
        serving_model_dir=str(given["serving_folder"]),
        model_run_dir=str(given["run_folder"]),
    )
    with pytest.raises(ComponentError, match="has one worker only, which is slower.*resources.trainer.workers to 2"):
        run_fn(arguments_of_tfx)
