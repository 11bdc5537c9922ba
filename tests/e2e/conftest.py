"""Real runs of the taxi pipeline, shared by the tests of a session: a good model, served."""

from __future__ import annotations

import pytest

from tests.factories.sluice_command import QUICK, Sluice


@pytest.fixture(scope="session")
def taxi(tmp_path_factory) -> Sluice:
    """A good taxi model, trained, blessed and pushed; tests read it and do not push to it."""
    folder = tmp_path_factory.mktemp("taxi")
    sluice = Sluice(folder / "root", folder)
    sluice("run", "taxi", *QUICK)
    return sluice
