"""Newswire stories, from text to a served model; and the same model on ids of words."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from pipelines.spec import load_spec
from tests.factories.sluice_command import Sluice, output

DATA = Path(__file__).parents[2] / "data" / "reuters.csv"
QUICKER = "evaluation.bootstrap_samples=20"
TOPICS = {"acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade"}


def metrics(sluice: Sluice) -> dict[str, float]:
    written = json.loads((output(sluice.latest(), "Evaluator", "evaluation") / "metrics.json").read_text())
    return {name: found["value"] for name, found in written["overall"].items()}


@pytest.fixture(scope="module")
def reuters(tmp_path_factory: pytest.TempPathFactory) -> Sluice:
    assert DATA.is_file(), "make data makes it"
    folder = tmp_path_factory.mktemp("reuters")
    sluice = Sluice(folder / "root", folder)
    sluice("run", "reuters", QUICKER, timeout=450)
    return sluice


def test_topics_are_told_apart_the_small_ones_too(reuters: Sluice) -> None:
    assert reuters.latest()["status"] == "pushed"
    found = metrics(reuters)
    assert found["accuracy"] >= 0.95
    assert found["log_loss"] <= 0.15


def test_the_eval_split_is_the_published_one() -> None:
    data = load_spec("reuters").spec.data
    parts = pd.read_csv(DATA).part
    assert parts.tolist() == ["train"] * data.split.train + ["test"] * data.split.eval


def test_a_story_is_served(reuters: Sluice) -> None:
    story = "Crude oil prices rose as OPEC ministers met in Vienna to cut output by 500,000 barrels a day"
    answer = reuters("predict", "reuters", "--json", json.dumps({"text": story})).stdout
    assert "crude" in answer
    for text in (None, "", "?!", "日本語"):
        answer = reuters("predict", "reuters", "--json", json.dumps({"text": text})).stdout
        assert any(topic in answer for topic in TOPICS)


def test_the_steps_of_a_text_are_explained(reuters: Sluice) -> None:
    shown = reuters("explain", "reuters").stdout
    assert "champion" in shown
    assert "champion products" in shown
    assert "not 0" in shown
    assert "differs" not in shown


def test_a_model_on_ids_of_words_passes_the_gate_too(tmp_path: Path) -> None:
    text = load_spec("reuters").path.read_text().replace("../../data/reuters.csv", str(DATA))
    text = re.sub(r"  text: \[normalize_text.*", "  text: [normalize_text, tokenize, token_ids: 200]", text)
    text = text.replace("hidden_units: [64]", "hidden_units: [64], embedding_dim: 32")
    assert "token_ids" in text
    assert "embedding_dim" in text
    spec = tmp_path / "reuters.yaml"
    spec.write_text(text)
    sluice = Sluice(tmp_path / "root", tmp_path)
    sluice("run", str(spec), QUICKER, "training.epochs=20", "training.optimizer.adam.learning_rate=0.005", timeout=450)
    assert metrics(sluice)["accuracy"] >= 0.95
