"""The images of the steps: what goes into one, the name that follows from it, and building and pushing it.

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
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.errors import ComponentError, Problem, SpecError

TARGETS = ("cpu", "gpu", "tpu", "serving")
CHECKOUT = Path(__file__).resolve().parents[1]
BASE = "debian:trixie-slim"
ENGINES = ("docker", "podman")
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
CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
INDEXES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
CONTENT_LABEL = "dev.sluice.content"
LAST_LINES = 40
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
        if not (self.checkout / "docker" / "Dockerfile").is_file():
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


def container_engine() -> str:
    """Return `docker` or `podman`, whichever answers; `SLUICE_CONTAINER_ENGINE` chooses.

    Raises:
        SpecError: neither does.
    """
    wanted = os.environ.get(ENGINE_VARIABLE)
    present = [name for name in ([wanted] if wanted else ENGINES) if shutil.which(name)]
    for name in present:
        if _answers(name):
            return name
    received = f"{' and '.join(present)} installed, and no answer" if present else f"no {wanted or 'docker or podman'}"
    remedy = "Call scripts/container_engine, which installs and starts one, or see what `docker info` says."
    raise SpecError([Problem("container engine", received, "docker or podman that answers", remedy)])


def exists(engine: str, name: str) -> bool:
    """Return True if this machine has an image of that name."""
    return subprocess.run([engine, "image", "inspect", name], capture_output=True, check=False).returncode == 0


def build(image: Image, engine: str, watch: Callable[[str], None], revision: dict[str, str] | None = None) -> str:
    """Build an image and return its name; does nothing if it is there.

    Args:
        image: what to build.
        engine: `docker` or `podman`.
        watch: is given each line that the engine prints.
        revision: labels that say where the files come from.

    Raises:
        ComponentError: the build failed, with its last lines.
    """
    name = image.name()
    if exists(engine, name):
        return name
    labels = {CONTENT_LABEL: image.tag(), **(revision or source_labels(image))}
    with tempfile.TemporaryDirectory(prefix="sluice-image-") as folder:
        context = Path(folder)
        _copy_files(image, context)
        arguments = [f"--label={key}={value}" for key, value in labels.items()]
        arguments += [f"--build-arg={key}={value}" for key, value in _build_arguments(image).items()]
        # The host's network, since proxies and indexes are often reachable from there alone.
        command = [
            engine,
            "build",
            "--network=host",
            f"--file={context / 'docker/Dockerfile'}",
            f"--target={image.target}",
        ]
        _run([*command, f"--tag={name}", *arguments, folder], watch, "Building the image", _build_remedy(image))
    return name


def push(image: Image, engine: str, registry: str, watch: Callable[[str], None]) -> str:
    """Push the image of the present code and return its name there.

    Args:
        image: what to push.
        engine: `docker` or `podman`.
        registry: host and folder, such as `europe-docker.pkg.dev/project/ml`.
        watch: is given each line that the engine prints.

    Raises:
        SpecError: that image was not built.
        ComponentError: the registry refused it, or was not reached.
    """
    local, remote = image.name(), image.name(registry)
    if not exists(engine, local):
        remedy = f"Build it first: sluice image build --target {image.target}"
        received = f"no image {local} on this machine"
        raise SpecError([Problem("image", received, "the image of the code as it is now", remedy)])
    _run([engine, "tag", local, remote], watch, "Naming the image", "")
    host = registry.partition("/")[0]
    remedy = f"Check the name and that {host} is reached; log in with `{engine} login {host}` if it says denied."
    _run([engine, "push", remote], watch, f"Pushing {remote}", remedy)
    return remote


def source_labels(image: Image) -> dict[str, str]:
    """Return the labels that say which commit of which repository an image was made of, as far as git knows."""
    commit = _git(image, "rev-parse", "HEAD")
    if not commit:
        return {}
    changed = _git(image, "status", "--porcelain", "--", *(file.as_posix() for file in image.files()))
    labels = {"org.opencontainers.image.revision": commit + ("-dirty" if changed else "")}
    address = re.sub(r"(?<=://)[^/@]*@", "", _git(image, "remote", "get-url", "origin"))  # no password in a label
    if re.match(r"(https?|ssh)://|[\w.-]+@[\w.-]+:", address):
        labels["org.opencontainers.image.source"] = address
    return labels


def _answers(engine: str) -> bool:
    command = [engine, "version", "--format", "{{.Server.Version}}"] if engine == "docker" else [engine, "info"]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _copy_files(image: Image, context: Path) -> None:
    """Lay out what the build reads: the files that the tag stands for, and the certificates this machine trusts."""
    for file in image.files():
        target = context / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image.checkout / file, target)
        os.utime(target, (0, 0))  # podman's cache looks at times
    for bundle in _certificates():
        shutil.copyfile(bundle, context / "docker" / "certificates" / "host.pem")
        os.utime(context / "docker" / "certificates" / "host.pem", (0, 0))


def _certificates() -> Iterator[Path]:
    import ssl

    named = [os.environ.get(variable) for variable in CERTIFICATES] + [ssl.get_default_verify_paths().cafile]
    yield from [Path(name) for name in named if name and Path(name).is_file()][:1]


def _build_arguments(image: Image) -> dict[str, str]:
    """Return what the build is told; the machine's proxies and index reach stages that no image contains."""
    told = {"BASE": image.base}
    if image.extras and image.target != "serving":
        told["EXTRAS"] = " ".join(sorted(image.extras))
    told |= {name: os.environ[name] for name in PROXIES if os.environ.get(name)}
    if index := next(filter(None, map(os.environ.get, INDEXES)), None):
        told["PIP_INDEX_URL"] = index
    return told


def _build_remedy(image: Image) -> str:
    if image.base == BASE:
        return f"If {BASE} cannot be pulled here, scripts/base_image makes it; else look at the lines above."
    return "Look at the lines above."


def _run(command: list[str], watch: Callable[[str], None], what: str, remedy: str) -> None:
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", stdin=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None  # noqa: S101 - asked for above
        for line in process.stdout:
            text = re.sub(r"\x1b\[[0-9;]*m", "", line.rstrip())
            last.append(text)
            watch(text)
    if process.returncode:
        words = "\n".join(last).strip()
        raise ComponentError(f"{what} failed with code {process.returncode}:\n{words}\n", remedy=remedy)


def _git(image: Image, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=image.checkout, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
