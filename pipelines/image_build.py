"""Building and pushing the images that pipelines/image.py names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from components.errors import ComponentError, Problem, SpecError
from pipelines.image import BASE, DOCKERFILE, Image, exists, stages_of

CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
SYSTEM_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
"""Where Debian and Fedora keep what the machine trusts."""
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
INDEXES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL")
CONTENT_LABEL = "dev.sluice.content"
LAST_LINES = 40


def build(image: Image, engine: str, watch: Callable[[str], None]) -> str:
    """Build an image and return its name; does nothing if it is there.

    Args:
        image: what to build.
        engine: `docker` or `podman`.
        watch: is given each line that the engine prints.

    Raises:
        ComponentError: the build failed, with its last lines.
    """
    if exists(engine, image.name()):
        return image.name()
    with tempfile.TemporaryDirectory(prefix="sluice-image-") as folder:
        context = Path(folder)
        lay_out(image, context)
        copied = Image(image.target, image.extras, image.base, context)  # what is built, whatever is edited meanwhile
        labels = {CONTENT_LABEL: copied.tag(), **source_labels(image)}
        command = [
            engine,
            "build",
            f"--file={context / DOCKERFILE}",
            f"--target={image.target}",
            f"--tag={copied.name()}",
        ]
        command += [f"--label={key}={value}" for key, value in labels.items()]
        command += [f"--build-arg={key}={value}" for key, value in build_arguments(image).items()]
        # The host's network, since proxies and indexes are often reachable from there alone.
        _run([*command, "--network=host", folder], watch, "Building the image", _build_remedy(image))
        return copied.name()


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
    _run([engine, "tag", local, remote], watch, f"Naming it {remote}", "Check the registry's name.")
    host = registry.partition("/")[0]
    remedy = f"Check the name and that {host} is reached; log in with `{engine} login {host}` if it says denied."
    _run([engine, "push", remote], watch, f"Pushing {remote}", remedy)
    return remote


def lay_out(image: Image, context: Path) -> None:
    """Write what a build reads into a folder: the files of the tag, and the certificates that are trusted here."""
    for file in image.files():
        target = context / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image.checkout / file, target)
    # The legacy builder builds every stage before the target, needed or not; those of the GPU are gigabytes.
    (context / DOCKERFILE).write_text(stages_of((context / DOCKERFILE).read_text(encoding="utf-8"), image.target))
    for bundle in _certificates():
        shutil.copyfile(bundle, context / "docker" / "certificates" / "host.pem")
    for file in context.rglob("*"):
        os.utime(file, (0, 0))  # podman's cache looks at times


def build_arguments(image: Image) -> dict[str, str]:
    """Return what the build is told; the machine's proxies and index reach only stages that no image contains."""
    told = {"BASE": image.base}
    if image.extras and image.target != "serving":
        told["EXTRAS"] = " ".join(sorted(image.extras))
    told |= {name: os.environ[name] for name in PROXIES if os.environ.get(name)}
    if index := next(filter(None, map(os.environ.get, INDEXES)), None):
        told["PIP_INDEX_URL"] = index
    return told


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


def _certificates() -> Iterator[Path]:
    named = [*map(os.environ.get, CERTIFICATES), *SYSTEM_CERTIFICATES]
    yield from [Path(name) for name in named if name and Path(name).is_file()][:1]


def _build_remedy(image: Image) -> str:
    if image.base == BASE:
        return f"If it cannot pull {BASE} here, scripts/base_image makes it; else look at the lines above."
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
