"""A killed run goes on where it was; two runs do not do the same work twice."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.factories.sluice_command import QUICK, Sluice, actions, output

LONG = ("training.epochs=12", "training.early_stopping=null", "evaluation.bootstrap_samples=50")


@pytest.fixture
def sluice(tmp_path) -> Sluice:
    return Sluice(tmp_path / "root", tmp_path)


def wait_for(condition, seconds: float = 240) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that")


def running(sluice: Sluice, component: str, runs: int) -> bool:
    """Tell whether the newest run is at a component."""
    records = list((sluice.root / "runs").glob("*/run.json"))
    return len(records) == runs and actions(sluice.latest())[component] == "running"


def epochs_seen(sluice: Sluice) -> list[str]:
    """Return what the newest run's Trainer has said so far."""
    progress = sorted((sluice.root / "runs").glob("*/progress.jsonl"))
    events = [json.loads(line) for line in progress[-1].read_text().splitlines()] if progress else []
    return [event["text"] for event in events if event["component"] == "Trainer"]


def kill(process) -> None:
    """Kill a run as the kernel would."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_run_killed_while_training_goes_on_from_its_last_epoch(sluice):
    process = sluice.start("run", "taxi", *LONG)
    wait_for(lambda: any("epoch 4/" in text for text in epochs_seen(sluice)))
    kill(process)
    assert actions(sluice.latest())["Trainer"] == "running"

    sluice("run", "taxi", *LONG)
    run = sluice.latest()
    assert {name: status for name, status in actions(run).items() if status != "done"} == dict.fromkeys(
        ("ExampleGen", "Cleaner", "StatisticsGen", "SchemaGen", "LatestBlessed", "ExampleValidator", "Transform"),
        "cached",
    )
    history = json.loads((output(run, "Trainer", "model_run") / "history.json").read_text())
    assert history["resumed_from_epoch"] >= 3
    assert [entry["epoch"] for entry in history["epochs"]] == list(range(1, 13))
    assert not any("epoch 1/" in text for text in epochs_seen(sluice))


def test_a_run_killed_in_transform_goes_on_with_transform_and_leaves_no_debris(sluice):
    process = sluice.start("run", "taxi", *QUICK)
    wait_for(lambda: running(sluice, "Transform", runs=1))
    outputs = sluice.root / "artifacts" / "Transform"
    wait_for(lambda: list(outputs.glob("*/[0-9]*")))
    kill(process)
    half_written = list(outputs.glob("*/[0-9]*"))

    second = sluice.start("run", "taxi", *QUICK)
    wait_for(lambda: running(sluice, "Transform", runs=2))
    refused = sluice("run", "taxi", *QUICK, check=2)
    assert "one run at a time" in refused.stderr
    assert second.wait(timeout=300) == 0
    run = sluice.latest()
    assert actions(run)["Cleaner"] == "cached"
    assert actions(run)["Transform"] == "done"
    assert not [folder for folder in half_written if folder.is_dir()]
