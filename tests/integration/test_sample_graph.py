"""`sluice check` and `sluice explain` on a graph that only Beam can analyse say so, instead of showing a guess."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tensorflow_transform as tft

from components.errors import ComponentError
from pipelines import explain, sample_graph
from pipelines.api import Pipeline
from pipelines.check import check

MESSAGE = r"In this process, Sluice cannot analyse .+; `sluice run` does it on Beam\."


def counted_vocabulary(tensors: Mapping[str, Any], **_: Any) -> dict[str, Any]:
    """Return the ids of a vocabulary with counts in its file, which only Beam writes."""
    company = tensors["company"]
    return {"company": tft.compute_and_apply_vocabulary(company, store_frequency=True)}


def refusal(look: Any, folder: Path) -> ComponentError:
    with pytest.raises(ComponentError, match=MESSAGE) as caught:
        look(Pipeline.load("taxi", root=folder))
    return caught.value


def test_check_says_that_only_beam_can_analyse_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_graph, "spec_function", lambda _: counted_vocabulary)
    assert "take that step out" in str(refusal(check, tmp_path))


def test_explain_says_that_only_beam_can_analyse_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.transform.probe.probed_fn", counted_vocabulary)
    assert "take that step out" in str(refusal(explain.explain, tmp_path))
