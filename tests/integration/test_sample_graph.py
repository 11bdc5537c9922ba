"""`sluice check` and `sluice explain` on a graph that only Beam can analyse say so, instead of showing a guess."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components import catalog
from components.errors import ComponentError
from components.transform import steps
from pipelines.api import Pipeline
from pipelines.check import check
from pipelines.explain import explain

MESSAGE = r"In this process, Sluice cannot analyse .+; `sluice run` does it on Beam\."

STEP = '''"""A step of a user's own, whose vocabulary file has counts, which only Beam writes."""

from components.transform.step import TEXT, TransformStep


class CountedVocabulary(TransformStep):
    """Numbers categories."""

    accepts = TEXT
    makes = "ids"

    def apply(self, column):
        import tensorflow_transform as tft

        ids = tft.compute_and_apply_vocabulary(column.values, store_frequency=True, num_oov_buckets=1, top_k=20)
        return column.with_values(ids, kind="ids", cardinality=21, bound=21)
'''


@pytest.fixture
def own_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One more folder of plug-ins, as a package beside Sluice's brings it."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "counted_vocabulary.py").write_text(STEP)
    monkeypatch.setattr(steps, "__path__", [*steps.__path__, str(tmp_path / "steps")])
    catalog.names.cache_clear()
    yield "transform.company=[counted_vocabulary]"
    catalog.names.cache_clear()
    sys.modules.pop(f"{steps.__name__}.counted_vocabulary", None)


def refusal(look: Any, folder: Path, override: str) -> ComponentError:
    with pytest.raises(ComponentError, match=MESSAGE) as caught:
        look(Pipeline.load("taxi", [override], root=folder))
    return caught.value


def test_check_says_that_only_beam_can_analyse_the_graph(tmp_path: Path, own_step: str) -> None:
    assert "take that step out" in str(refusal(check, tmp_path, own_step))


def test_explain_says_that_only_beam_can_analyse_the_graph(tmp_path: Path, own_step: str) -> None:
    assert "take that step out" in str(refusal(explain, tmp_path, own_step))
