"""What tests with real containers share: an engine that answers, and the image of the present code, built once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import SpecError
from pipelines import image as images
from pipelines import image_build
from pipelines.image import Image

HERE = Path(__file__).parent
BUILD_SECONDS = 1800
"""How long a test may take that has to build an image first, from nothing, on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


@pytest.fixture(scope="session")
def engine() -> str:
    """The container engine of this machine; without one these tests fail, since a skip would hide it."""
    try:
        return images.container_engine()
    except SpecError as error:
        pytest.fail(f"{error}\n\nTo run these tests: scripts/container_engine && scripts/base_image", pytrace=False)


def built(engine: str, target: str) -> str:
    """Return the image of the present code, built if it is not there; its layers stay for the next time."""
    image = Image(target)
    if not images.exists(engine, image.name()) and not images.exists(engine, images.BASE):
        made = subprocess.run(["scripts/base_image"], cwd=images.CHECKOUT, capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.fail(f"no base image: {made.stderr}", pytrace=False)
    return image_build.build(image, engine, lambda line: sys.stderr.write(line + "\n"))


@pytest.fixture(scope="session", autouse=True)
def step_image(engine: str) -> str:
    """The image of the steps, of the code as it is now; `SLUICE_STEP_IMAGE` names another one."""
    return os.environ.get("SLUICE_STEP_IMAGE") or built(engine, "cpu")


@pytest.fixture(scope="session")
def serving_image(engine: str) -> str:
    """The image of the server, of the code as it is now."""
    return built(engine, "serving")
