"""What `sluice init` writes for text and for images runs as it is, and its model tells the classes apart."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn import datasets

from tests.factories.sluice_command import Sluice, output

STORIES = Path(__file__).parents[2] / "data" / "reuters.csv"


def metrics(sluice: Sluice) -> dict[str, float]:
    """Return the metrics of a model that passed the gate."""
    run = sluice.latest()
    assert run["status"] == "pushed"
    written = json.loads((output(run, "Evaluator", "evaluation") / "metrics.json").read_text())
    return {name: found["value"] for name, found in written["overall"].items()}


def test_a_spec_started_from_stories_tells_topics_apart(tmp_path: Path) -> None:
    assert STORIES.is_file(), "make data makes it"
    rows = pd.read_csv(STORIES)
    rows[rows.category.isin(["earn", "acq"])].head(400)[["category", "text"]].to_csv(tmp_path / "d.csv", index=False)
    sluice, home = Sluice(tmp_path / "root", tmp_path), str(tmp_path / "started")
    assert "text: free text" in sluice("init", home, "--from", str(tmp_path / "d.csv")).stdout
    sluice("run", home, "evaluation.bootstrap_samples=0")
    assert metrics(sluice)["auc"] > 0.95


def test_a_spec_started_from_images_tells_threes_from_eights(tmp_path: Path) -> None:
    images, targets = datasets.load_digits(return_X_y=True)
    for number in np.flatnonzero(np.isin(targets, (3, 8))):
        folder = tmp_path / "digits" / str(targets[number])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((images[number].reshape(8, 8) * 15.9).astype(np.uint8)).save(folder / f"{number:04}.png")
    sluice, home = Sluice(tmp_path / "root", tmp_path), str(tmp_path / "started")
    started = sluice("init", home, "--from", str(tmp_path / "digits"))
    assert "357 images of 2 classes" in started.stdout
    assert not started.stderr
    sluice("run", home, "evaluation.bootstrap_samples=0")
    assert metrics(sluice)["auc"] > 0.95
