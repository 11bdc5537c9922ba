"""The images of the steps: what goes into one, and the name that follows from it.

An image is named by a checksum of all that goes into it, so a compiled pipeline names exactly the code that was tested,
and an image that exists is not built again. A model module of the user's own is not in it: it travels inside the
pipeline's config, so a new model needs no new image.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from components.engine.container_engine import ENGINES
from components.errors import Problem, SpecError

TARGETS = ("cpu", "gpu", "tpu", "serving")
DOCKERFILE = "docker/Dockerfile"
CHECKOUT = Path(__file__).resolve().parents[1]
BASE = "debian:trixie-slim"
ENGINE_VARIABLE = "SLUICE_CONTAINER_ENGINE"
SHARED = (
    "LICENSE", "docker/Dockerfile", "docker/bill_of_materials.py", "docker/build.lock",
    "docker/certificates/README", "docker/choose_packages.py", "docker/install_packages", "k8s/node_pools.yaml",
    "pyproject.toml", "requirements.lock",
)  # fmt: skip
STEP_FILES = ("docker/check_step.py", "docker/left-out.txt")
OWN_FILES = {
    "cpu": ("docker/cpu.lock", *STEP_FILES),
    "gpu": ("docker/gpu.lock", *STEP_FILES),
    "tpu": ("docker/tpu.lock", *STEP_FILES),
    "serving": ("docker/cpu.lock", "docker/serving.txt"),
}
CODE = ("components", "pipelines")
TAG_LENGTH = 16


@dataclass(frozen=True)
class Image:
    """One image: which target of docker/Dockerfile, and of what.

    Args:
        target: `cpu`, `gpu` and `tpu` run steps, `serving` serves the model.
        extras: headings of docker/left-out.txt whose packages come along.
        base: the image it starts from: Debian 13, or another system with glibc 2.39 and Python 3.13.
        checkout: where its files are.

    Raises:
        SpecError: there is no such target, or no checkout.

    Example:
        >>> Image("cpu").name("registry.example/ml").rsplit(":")[0]
        'registry.example/ml/sluice-cpu'
    """

    target: str = "cpu"
    extras: tuple[str, ...] = ()
    base: str = BASE
    checkout: Path = CHECKOUT

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise SpecError([Problem("target", self.target, ", ".join(TARGETS), "Name one of these.")])
        if not (self.checkout / DOCKERFILE).is_file():
            remedy = "Call Sluice from a checkout of its repository, or name an image that exists with --image."
            received = f"no docker/Dockerfile in {self.checkout}"
            raise SpecError([Problem("image", received, "the files that images are made of", remedy)])

    def files(self) -> list[Path]:
        """Return what the image is made of, relative to the checkout, in a fixed order."""
        code = [
            file.relative_to(self.checkout)
            for folder in CODE
            for file in (self.checkout / folder).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc"
        ]
        return sorted([*code, *map(Path, (*SHARED, *OWN_FILES[self.target]))], key=Path.as_posix)

    def tag(self) -> str:
        """Return the checksum of the files and of what the build is told; the same on every machine."""
        total = hashlib.sha256()
        for part in (self.target, *sorted(self.extras), self.base):
            total.update(part.encode() + b"\n")
        for file in self.files():
            content = (self.checkout / file).read_bytes()
            if file.as_posix() == DOCKERFILE:
                content = stages_of(content.decode(), self.target).encode()
            total.update(f"{file.as_posix()} {hashlib.sha256(content).hexdigest()}\n".encode())
        return total.hexdigest()[:TAG_LENGTH]

    def name(self, registry: str = "") -> str:
        """Return the image's whole name.

        Args:
            registry: host and folder before it; empty for this machine.
        """
        return "/".join(filter(None, (registry.rstrip("/"), f"sluice-{self.target}:{self.tag()}")))


def image_tag(target: str = "cpu") -> str:
    """Return the tag of the image that holds the present code."""
    return Image(target).tag()


def image_name(registry: str = "", target: str = "cpu") -> str:
    """Return the name of the image that holds the present code, as a registry knows it."""
    return Image(target).name(registry)


def stages_of(dockerfile: str, target: str) -> str:
    r"""Return a Dockerfile with only the stages that a target is built from.

    Example:
        >>> stages_of("FROM a AS one\nFROM b AS two\nFROM one AS three\n", "three")
        'FROM a AS one\nFROM one AS three\n'
    """
    head, *stages = re.split(r"^(?=FROM )", dockerfile, flags=re.MULTILINE)
    named = {found.group(1): stage for stage in stages if (found := re.match(r"FROM \S+ AS (\S+)", stage))}
    needed, waiting = set(), [target]
    while waiting:
        name = waiting.pop()
        needed.add(name)
        sources = re.findall(r"^FROM (\S+)|--from=(\S+)", named[name], re.MULTILINE)
        waiting += {source for pair in sources for source in pair if source in named} - needed
    return head + "".join(stage for name, stage in named.items() if name in needed)


def container_engine() -> str:
    """Return `docker` or `podman`, whichever answers; `SLUICE_CONTAINER_ENGINE` chooses.

    Raises:
        SpecError: neither does.
    """
    wanted = os.environ.get(ENGINE_VARIABLE)
    present = [name for name in ([wanted] if wanted else ENGINES) if shutil.which(name)]
    for name in present:
        if answers(name):
            return name
    received = f"{' and '.join(present)} installed, and no answer" if present else f"no {wanted or 'docker or podman'}"
    remedy = "Call scripts/container_engine, which installs and starts one, or see what `docker info` says."
    raise SpecError([Problem("container engine", received, "docker or podman that answers", remedy)])


def exists(engine: str, name: str) -> bool:
    """Return True if this machine has an image of that name."""
    return subprocess.run([engine, "image", "inspect", name], capture_output=True, check=False).returncode == 0


def answers(engine: str) -> bool:
    """Return True when an installed engine can be talked to."""
    command = [engine, "version", "--format", "{{.Server.Version}}"] if engine == "docker" else [engine, "info"]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
