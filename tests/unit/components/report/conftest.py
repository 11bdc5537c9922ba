"""Run folders with real statistics and predictions, made once for all tests of the report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.factories.report_runs import RunFactory


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> RunFactory:
    root: Path = tmp_path_factory.mktemp("report")
    return RunFactory(root)
