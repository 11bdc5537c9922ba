"""Fixtures of tests that need S3; `tests/conftest.py` names this module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.factories.s3_server import CREDENTIALS, S3Server


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server of the module's own."""
    made = S3Server(tmp_path_factory.mktemp("s3") / "log")
    yield made
    made.stop()


@pytest.fixture
def s3_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that lets Arrow into that server."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
