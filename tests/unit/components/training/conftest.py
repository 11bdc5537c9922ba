"""Data that the tests of training share."""

from __future__ import annotations

import pytest

from tests.factories.tumours import tumours


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the folders of the tumour data's splits."""
    return tumours(tmp_path_factory.mktemp("tumours"))
