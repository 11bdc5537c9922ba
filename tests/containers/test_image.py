"""The image of the steps: what is in it, what is not, and that it works where nothing can be written."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from packaging.markers import Marker

from components.engine.container_engine import run_command
from components.errors import ComponentError
from pipelines import image as images
from pipelines import image_build
from pipelines.image import CHECKOUT, Image

LOCKED_DOWN = (
    "--rm",
    "--network=none",
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)
SIZE_LIMIT = 2_000_000_000
START_SECONDS = 10
"""Processor time of what a step imports before it works; the time on a clock depends on what else the machine does."""


@pytest.fixture(scope="module")
def within(engine, step_image):
    """Return a function that runs a program in a locked-down container and returns what it prints."""

    def run(*command: str, options: tuple[str, ...] = LOCKED_DOWN) -> str:
        done = subprocess.run(
            [*run_command(engine), *options, step_image, *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.fixture(scope="module")
def description(engine, step_image):
    found = subprocess.run([engine, "image", "inspect", step_image], capture_output=True, text=True, check=True)
    return json.loads(found.stdout)[0]


def test_it_runs_as_a_user_without_rights_whatever_its_number(within, description):
    assert description["Config"]["User"] == "1000:1000"
    assert within("id", "-u").strip() == "1000"
    code = "import getpass, os; print(getpass.getuser(), os.path.expanduser('~'))"
    assert within("python", "-c", code).split() == ["sluice", "/tmp"]
    assert within("python", "-c", code, options=(*LOCKED_DOWN, "--user=4711:0")).split() == ["sluice", "/tmp"]


def test_the_user_can_write_nowhere_but_in_the_temporary_folders(within):
    command = "find / -xdev -writable ! -type l 2>/dev/null; true"
    assert sorted(within("sh", "-c", command, options=("--rm",)).split()) == [
        "/run/lock", "/tmp", "/var/tmp",
    ]  # fmt: skip


def test_all_that_a_step_needs_works_read_only_and_without_a_network(within):
    said = within("python", "/opt/sluice/docker/check_step.py")
    assert re.search(r"^\d{3} modules, Python 3\.13\.\d+: all that a step needs is here$", said, re.MULTILINE)


def test_a_whole_pipeline_runs_in_it_read_only_and_without_a_network(within):
    said = within("sluice", "run", "taxi", "--root", "/tmp/taxi", "training.epochs=1")
    assert re.search(r"^ +pushed +version \d+ → /tmp/taxi/serving/\d+$", said, re.MULTILINE), said


def test_the_code_in_it_is_the_code_here(within):
    code = """if True:
        import hashlib, pathlib
        for top in ('components', 'pipelines'):
            for file in sorted(pathlib.Path('/opt/sluice', top).rglob('*')):
                if file.is_file() and file.suffix != '.pyc':
                    print(file.relative_to('/opt/sluice'), hashlib.sha256(file.read_bytes()).hexdigest())
    """
    inside = dict(line.rsplit(" ", 1) for line in within("python", "-c", code).splitlines())
    pools = "pipelines/resources/node_pools.yaml"
    assert inside.pop(pools) == hashlib.sha256((CHECKOUT / "k8s/node_pools.yaml").read_bytes()).hexdigest()
    here = {
        str(file): hashlib.sha256((CHECKOUT / file).read_bytes()).hexdigest()
        for file in Image("cpu").files()
        if file.parts[0] in images.CODE
    }
    assert inside == here


def test_labels_name_its_content_and_its_commit(description, step_image):
    labels = description["Config"]["Labels"]
    assert labels["dev.sluice.content"] == step_image.rpartition(":")[2]
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels["org.opencontainers.image.revision"])
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def locked_for_the_image() -> dict[str, str]:
    """Return name and version of what the lock says the image holds, with its markers told by packaging."""
    found = importlib.util.spec_from_file_location("choose_packages", CHECKOUT / "docker/choose_packages.py")
    packages = importlib.util.module_from_spec(found)
    found.loader.exec_module(packages)
    text = {
        name: (CHECKOUT / name).read_text() for name in ("requirements.lock", "docker/cpu.lock", "docker/left-out.txt")
    }
    locks = {"requirements": text["requirements.lock"], "own": text["docker/cpu.lock"]}
    system = {"python_version": "3.13", "python_full_version": "3.13.5", "sys_platform": "linux"}
    versions = {}
    for entry in packages.chosen("cpu", locks, {"left-out.txt": text["docker/left-out.txt"]}).split("\n"):
        if pin := re.match(r"([a-z0-9-]+)==([^ ]+)(?: ; (.*?))? \\$", entry):
            name, version, marker = pin.groups()
            if marker is None or Marker(marker).evaluate(system):
                versions[name] = version
    return versions


def test_its_bill_of_materials_lists_what_is_installed_and_that_is_what_is_locked(within):
    bill = json.loads(within("cat", "/opt/sluice/sbom.cdx.json"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    python, debian = (
        {part["name"]: part["version"] for part in bill["components"] if part["purl"].startswith(f"pkg:{kind}/")}
        for kind in ("pypi", "deb")
    )
    folders = within(
        "sh", "-c", "ls -d /opt/venv/lib/python3*/site-packages/*.dist-info /opt/sluice/*.dist-info"
    ).split()
    installed = dict(Path(folder).name.removesuffix(".dist-info").rsplit("-", 1) for folder in folders)
    installed = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in installed.items()}
    assert python == installed
    assert python == locked_for_the_image() | {"sluice": "0.1.0"}
    packages = within("dpkg-query", "-W", "-f", "${Package} ${Version}\\n").splitlines()
    assert debian == dict(line.split() for line in packages)
    assert len(bill["components"]) == len(python) + len(debian)


def test_nothing_that_built_it_is_left(within):
    tools = "gcc g++ cc ld as make strip uv pip pip3 hatchling git curl wget"
    assert within("sh", "-c", f"for tool in {tools}; do command -v $tool; done; true") == ""
    leftovers = (
        r"find / -xdev \( -name .cache -o -name '*.pem' -o -name '*.whl' -o -name '*.a' -o -name CACHEDIR.TAG \)"
    )
    found = within("sh", "-c", f"{leftovers} -not -path '/proc/*' 2>/dev/null; true").split()
    public = [
        name
        for name in found
        if name.startswith(("/etc/ssl/", "/usr/lib/ssl/")) or name.endswith("cacert.pem") or "grpc/" in name
    ]
    assert sorted(set(found) - set(public)) == []
    assert within("sh", "-c", "ls -A /var/lib/apt/lists /var/cache /tmp /build 2>/dev/null; true").split() == [
        "/tmp:", "/var/cache:", "/var/lib/apt/lists:",
    ]  # fmt: skip


def test_neither_its_history_nor_its_files_tell_of_the_machine_that_built_it(engine, step_image, description, within):
    history = subprocess.run(
        [engine, "history", "--no-trunc", "--format", "{{.CreatedBy}}", step_image],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    told = history + json.dumps(description["Config"])
    assert not re.search(r"PROXY|INDEX_URL|SSL_CERT|PASSWORD|TOKEN", told, re.IGNORECASE)
    trusted = within("cat", "/etc/ssl/certs/ca-certificates.crt").split("-----END CERTIFICATE-----")
    debians = within("sh", "-c", "cat /usr/share/ca-certificates/*/*.crt").split("-----END CERTIFICATE-----")
    assert len(trusted) > 100
    assert {text.strip() for text in trusted} == {text.strip() for text in debians}


def test_all_of_its_python_is_compiled(within):
    code = """if True:
        import importlib.util, pathlib
        folders = [pathlib.Path('/opt', name) for name in ('venv/lib', 'sluice/components', 'sluice/pipelines')]
        missing = []
        for file in [file for folder in folders for file in folder.rglob('*.py')]:
            if not pathlib.Path(importlib.util.cache_from_source(file)).is_file():
                try:
                    compile(file.read_bytes(), str(file), 'exec')
                except (SyntaxError, ValueError):
                    continue  # a template
                missing.append(str(file))
        print(missing)
    """
    assert within("python", "-W", "ignore", "-c", code).strip() == "[]"


def test_it_is_small_enough(description):
    assert description["Size"] <= SIZE_LIMIT


@pytest.mark.parametrize("module", ["components.data.component", "components.evaluation.component"])
def test_a_step_soon_begins_to_work(within, module):
    code = f"import os, {module}; times = os.times(); print(times.user + times.system)"
    assert float(within("python", "-c", code).split()[-1]) <= START_SECONDS


@pytest.fixture
def registry(tmp_path):
    """A registry on this machine, Debian's docker-registry."""
    (tmp_path / "registry.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/images}}}}\nhttp: {{addr: 127.0.0.1:5055}}\n"
    )
    with subprocess.Popen(
        ["docker-registry", "serve", str(tmp_path / "registry.yml")], stderr=subprocess.DEVNULL
    ) as server:
        for _ in range(100):
            try:
                httpx.get("http://127.0.0.1:5055/v2/", timeout=5).raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield "127.0.0.1:5055/ml"
        server.terminate()


@pytest.fixture
def other_image(engine, tmp_path):
    """The image of other code than is here, and a small one: to push two gigabytes would show nothing more."""
    folder = tmp_path / "checkout"
    image_build.lay_out(Image("cpu"), folder)
    (folder / "components/errors.py").write_text("changed")
    other = Image("cpu", checkout=folder)
    subprocess.run([engine, "tag", images.BASE, other.name()], check=True)
    yield other
    subprocess.run([engine, "rmi", other.name()], check=True, capture_output=True)


def test_a_pushed_image_is_in_the_registry_under_the_name_that_pipelines_use(engine, other_image, registry):
    pushed = image_build.push(other_image, engine, registry, lambda line: None)
    assert pushed == f"{registry}/sluice-cpu:{other_image.tag()}"
    subprocess.run([engine, "rmi", pushed], check=True, capture_output=True)
    listed = httpx.get("http://127.0.0.1:5055/v2/ml/sluice-cpu/tags/list", timeout=5).json()
    assert listed == {"name": "ml/sluice-cpu", "tags": [other_image.tag()]}
    subprocess.run([engine, "pull", pushed], check=True, capture_output=True)
    subprocess.run([engine, "rmi", pushed], check=True, capture_output=True)


def test_an_unreachable_registry_is_an_error_with_a_remedy(engine, other_image):
    with pytest.raises(ComponentError, match=r"Pushing 127.0.0.1:9/ml/.*(?s:.)*Check the name and that 127.0.0.1:9 is"):
        image_build.push(other_image, engine, "127.0.0.1:9/ml", lambda line: None)
    subprocess.run([engine, "rmi", other_image.name("127.0.0.1:9/ml")], check=True, capture_output=True)
