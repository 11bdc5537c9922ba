"""A bad model does not pass, and what was served still is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.bench.data import taxi_file
from tests.factories.sluice_command import QUICK, Sluice, actions
from tests.factories.webhook import Receiver

IN_ORDER = (*QUICK, "data.split={by: ratio, train: 2, eval: 1}")


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory):
    """The taxi file with the tips of its first two thirds, the training split, dealt to the wrong rows."""
    header, *rows = [line.split(",") for line in taxi_file().read_text().splitlines()]
    tips = header.index("tips")
    train = len(rows) * 2 // 3
    deck = [
        *np.random.default_rng(0).permutation([row[tips] for row in rows[:train]]),
        *(row[tips] for row in rows[train:]),
    ]
    path = tmp_path_factory.mktemp("shuffled") / "data.csv"
    with path.open("w") as file:
        file.write(",".join(header) + "\n")
        for row, tip in zip(rows, deck, strict=True):
            row[tips] = tip
            file.write(",".join(row) + "\n")
    return path


@pytest.fixture(scope="module")
def webhook():
    receiver = Receiver([200])
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture(scope="module")
def blocked(tmp_path_factory, shuffled, webhook) -> tuple[Sluice, list[int], str]:
    """A good model, then one from shuffled labels; returns the versions before it and what the run printed."""
    folder = tmp_path_factory.mktemp("gate")
    sluice = Sluice(folder / "root", folder)
    sluice("run", "taxi", *IN_ORDER)
    before = sluice.versions()
    told = f"notify.webhook={webhook.url}"
    printed = sluice("run", "taxi", *IN_ORDER, f"data.path={shuffled}", told, check=3).stdout
    return sluice, before, printed


def test_a_model_from_shuffled_labels_is_blocked_with_reasons(blocked):
    sluice, _, printed = blocked
    run = sluice.latest()
    assert run["status"] == "blocked"
    assert not run["verdict"]["passed"]
    failed = [rule for rule in run["verdict"]["rules"] if rule["verdict"] == "fail"]
    assert {"auc >= 0.85"} <= {rule["rule"] for rule in failed}
    assert any("drop" in rule["rule"] and rule["baseline_value"] > 0.85 for rule in failed)
    assert "The gate blocks the model" in printed
    assert "nothing; what was being served still is" in printed


def test_the_webhook_is_told_of_the_blocked_model(blocked, webhook):
    sluice, _, _ = blocked
    (told,) = webhook.received
    assert told["status"] == "blocked"
    assert told["run_id"] == sluice.latest()["run_id"]
    assert told["reasons"] == sluice.latest()["verdict"]["reasons"]


def test_the_good_model_is_still_served(blocked):
    sluice, before, _ = blocked
    assert len(before) == 1
    assert sluice.versions() == before


def test_the_same_blocked_run_again_is_still_blocked(blocked, shuffled):
    sluice, before, _ = blocked
    sluice("run", "taxi", *IN_ORDER, f"data.path={shuffled}", check=3)
    assert sluice.latest()["status"] == "cached"
    assert sluice.versions() == before


def test_the_gate_can_be_overridden_and_the_model_says_who_and_why(blocked, shuffled):
    sluice, before, _ = blocked
    sluice("run", "taxi", *IN_ORDER, f"data.path={shuffled}", "--override-gate", "a drill")
    run = sluice.latest()
    assert actions(run)["Trainer"] == "cached"
    assert actions(run)["Pusher"] == "done"
    newest = sluice.versions()[-1]
    assert newest not in before
    entry = json.loads((sluice.root / "registry" / f"{newest}.json").read_text())
    assert entry["blessed"] is False
    assert entry["override"]["reason"] == "a drill"
    assert entry["override"]["by"]
