"""The image of the server answers over REST in a locked-down container, stops when told to, and has nothing of TFX."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from components.engine.container_engine import run_command
from tests.integration.served_models import publish_model

SIZE_LIMIT = 1_600_000_000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish_model(folder, 3, bias=0.25)
    for path in (folder.parent, *folder.rglob("*"), folder):
        path.chmod(0o755 if path.is_dir() else 0o644)  # the container's user is another one
    return folder


@pytest.fixture(scope="module")
def container(engine: str, serving_image: str, models: Path) -> Iterator[str]:
    """A server on port 18501 of this machine, serving version 3."""
    name = f"sluice-serving-test-{uuid.uuid4().hex[:8]}"
    options = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=host"]
    server = ["--name=taxi", "--base-path=/models", "--rest-port=18501", "--grpc-port=18500"]
    command = [
        *run_command(engine),
        "--detach",
        f"--name={name}",
        *options,
        f"--volume={models}:/models:ro",
        serving_image,
        *server,
    ]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield name
    finally:
        subprocess.run([engine, "rm", "--force", name], check=True, capture_output=True)


def answer(engine: str, container: str, seconds: float = 120) -> httpx.Response:
    """Return the first answer of the server."""
    body = {"signature_name": "raw", "inputs": {"company": ["Flash"], "fare": [10.0], "trip_miles": [5.0]}}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = httpx.post("http://127.0.0.1:18501/v1/models/taxi:predict", json=body, timeout=30)
            if found.status_code == 200:
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    log = subprocess.run([engine, "logs", container], capture_output=True, text=True, check=False)
    raise AssertionError(f"no answer in {seconds} s: {log.stdout}{log.stderr}")


def test_it_answers_and_stops_when_asked_to(engine: str, container: str):
    probability = answer(engine, container).json()["outputs"][0]
    assert probability == pytest.approx(0.25 + 0.05 + 0.01)

    subprocess.run([engine, "stop", "--time=60", container], check=True, capture_output=True)
    state = subprocess.run(
        [engine, "inspect", "--format", "{{.State.ExitCode}}", container], capture_output=True, text=True, check=True
    )
    assert state.stdout.strip() == "0"


def test_it_holds_the_servers_packages_alone(engine: str, serving_image: str):
    found = subprocess.run(
        [*run_command(engine), "--rm", "--entrypoint=cat", serving_image, "/opt/sluice/sbom.cdx.json"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {part["name"] for part in json.loads(found.stdout)["components"] if part["purl"].startswith("pkg:pypi/")}
    assert {"tensorflow-cpu", "uvicorn", "grpcio", "sluice"} <= names
    assert not {"tfx", "apache-beam", "tensorflow-transform", "pandas", "pip", "uv"} & names


def test_it_is_small_enough(engine: str, serving_image: str):
    found = subprocess.run([engine, "image", "inspect", serving_image], capture_output=True, text=True, check=True)
    description = json.loads(found.stdout)[0]
    assert description["Config"]["User"] == "1000:1000"
    assert description["Size"] <= SIZE_LIMIT
