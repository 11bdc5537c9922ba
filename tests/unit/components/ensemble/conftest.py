"""Data that the tests of ensembles share."""

from __future__ import annotations

import pytest

from components.training.input_fn import Split
from tests.factories.tumours import splits, tumours


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Split, Split]:
    """Return the train and the eval split of the tumour data."""
    return splits(tumours(tmp_path_factory.mktemp("tumours")))
