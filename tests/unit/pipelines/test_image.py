"""An image is named by what goes into it; building hands the engine exactly that, and errors say what to do."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from components.errors import ComponentError, SpecError
from pipelines import image as images
from pipelines import image_build
from pipelines.commands.image import image as command
from pipelines.image import CHECKOUT, TARGETS, Image

LOCK = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
DOCKERFILE = (CHECKOUT / "docker/Dockerfile").read_text(encoding="utf-8")


def _choose_packages():
    found = importlib.util.spec_from_file_location("choose_packages", CHECKOUT / "docker/choose_packages.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


packages = _choose_packages()


@pytest.fixture
def checkout(tmp_path):
    """A copy of all that any image is made of, to change."""
    folder = tmp_path / "checkout"
    for target in TARGETS:
        for file in Image(target).files():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / file, folder / file)
    return folder


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that puts a program on a PATH without container engines."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "cat", "cp", "git"):
        (folder / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv(images.ENGINE_VARIABLE, raising=False)

    def add(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return add


def chosen(target: str, *extras: str) -> dict[str, list[str]]:
    """Return the entries of a target's requirements by package name."""
    own = (CHECKOUT / "docker" / packages.OWN_LOCKS[target]).read_text(encoding="utf-8")
    lists = {name: (CHECKOUT / "docker" / name).read_text(encoding="utf-8") for name in ("left-out.txt", "serving.txt")}
    return packages.pins(packages.chosen(target, {"requirements": LOCK, "own": own}, lists, extras))


@pytest.mark.parametrize(
    "file",
    [
        "components/data/config.py",
        "pipelines/specs/taxi.yaml",
        "requirements.lock",
        "pyproject.toml",
        "docker/Dockerfile",
        "docker/cpu.lock",
        "docker/left-out.txt",
        "docker/install_packages",
        "k8s/node_pools.yaml",
    ],
)
def test_a_change_of_what_goes_into_an_image_changes_its_tag(checkout, file):
    before = Image("cpu", checkout=checkout).tag()
    text = (checkout / file).read_text(encoding="utf-8")
    (checkout / file).write_text(text.replace("FROM runtime AS cpu", "FROM runtime AS cpu\nENV A=1") + "\n")
    assert Image("cpu", checkout=checkout).tag() != before


def test_a_new_file_and_a_renamed_one_change_the_tag(checkout):
    tags = [Image("cpu", checkout=checkout).tag()]
    (checkout / "components/new.py").write_text("")
    tags.append(Image("cpu", checkout=checkout).tag())
    (checkout / "components/new.py").rename(checkout / "components/newer.py")
    tags.append(Image("cpu", checkout=checkout).tag())
    assert len(set(tags)) == 3


def test_what_does_not_go_into_an_image_leaves_its_tag(checkout):
    before = Image("cpu", checkout=checkout).tag()
    (checkout / "README.md").write_text("changed")
    (checkout / "tests").mkdir()
    (checkout / "tests/test_new.py").write_text("changed")
    (checkout / "components/__pycache__").mkdir()
    (checkout / "components/__pycache__/errors.cpython-313.pyc").write_bytes(b"changed")
    for file in ("docker/gpu.lock", "docker/tpu.lock", "docker/serving.txt"):
        (checkout / file).write_text("changed")
    changed = DOCKERFILE.replace("FROM runtime AS gpu\n", "FROM runtime AS gpu\nENV A=1\n")
    assert changed != DOCKERFILE
    (checkout / "docker/Dockerfile").write_text(changed)
    assert Image("cpu", checkout=checkout).tag() == before


def test_targets_extras_and_bases_have_tags_of_their_own():
    variants = [Image(target) for target in TARGETS]
    variants += [Image("cpu", ("notebook",)), Image("cpu", ("notebook", "mongo")), Image("cpu", base="ubuntu:24.04")]
    assert len({variant.tag() for variant in variants}) == len(variants)
    assert Image("cpu", ("mongo", "notebook")).tag() == Image("cpu", ("notebook", "mongo")).tag()


def test_names_have_the_registry_in_front():
    tag = images.image_tag("gpu")
    assert images.image_name("", "gpu") == f"sluice-gpu:{tag}"
    assert images.image_name("registry.example/ml/", "gpu") == f"registry.example/ml/sluice-gpu:{tag}"
    assert images.image_name() == f"sluice-cpu:{images.image_tag()}"


def test_an_unknown_target_and_a_missing_checkout_are_refused(tmp_path):
    with pytest.raises(SpecError, match="target: got xpu; expected cpu, gpu, tpu, serving"):
        Image("xpu")
    with pytest.raises(SpecError, match=r"no docker/Dockerfile in .* Call Sluice from a checkout"):
        Image("cpu", checkout=tmp_path)


def test_the_command_lines_part_loads_nothing_heavy():
    code = (
        "import sys, pipelines.commands.image, pipelines.image as i; i.image_tag();"
        "print({'tensorflow', 'tfx', 'apache_beam', 'kfp', 'numpy', 'docker'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("target", TARGETS)
def test_a_build_has_every_file_that_its_stages_copy(target):
    stages = images.stages_of(DOCKERFILE, target)
    sources = [word for line in re.findall(r"^COPY (?!--from)(.+)", stages, re.MULTILINE) for word in line.split()[:-1]]
    files = {file.as_posix() for file in Image(target).files()}
    assert len(sources) > 8
    assert [name for name in sources if name not in files and not any(f.startswith(name + "/") for f in files)] == []


@pytest.mark.parametrize("target", TARGETS)
def test_a_build_has_only_the_stages_of_its_target(target):
    stages = re.findall(r"^FROM \S+ AS (\S+)", images.stages_of(DOCKERFILE, target), re.MULTILINE)
    assert sorted(stages) == sorted(["runtime", "build", "code", f"{target}-packages", target])
    assert stages[-1] == target


def test_the_dockerfile_starts_from_the_base_that_names_are_made_with():
    assert re.findall(r"^ARG BASE=(.+)", DOCKERFILE, re.MULTILINE) == [images.BASE]


def test_a_build_by_hand_gets_every_file_too():
    allowed = re.findall(r"^!(.+)", (CHECKOUT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    files = {file.as_posix() for target in TARGETS for file in Image(target).files()}
    assert [f for f in files if not any(f == entry or f.startswith(entry + "/") for entry in allowed)] == []


def test_the_steps_image_has_no_sdk_of_a_cloud_no_notebook_and_no_kubeflow():
    names = set(chosen("cpu"))
    assert not [name for name in names if name.startswith(("google-cloud-", "kfp", "jupyter", "kubernetes"))]
    assert {"tfx", "tensorflow-cpu", "tensorflow-model-analysis", "google-crc32c", "sacrebleu", "rouge-score"} <= names
    assert not {"tensorflow", "pip", "libclang"} & names


@pytest.mark.parametrize("target", TARGETS)
def test_every_package_of_an_image_is_pinned_with_hashes_and_there_once(target):
    entries = chosen(target)
    assert len(entries) > 40
    for name, pins in entries.items():
        assert all("--hash=sha256:" in pin for pin in pins), name
        assert len({pin.splitlines()[0] for pin in pins}) == len(pins), name


def test_tensorflow_is_the_locked_one_where_there_is_a_build_of_it():
    version = re.search(r"^tensorflow==(\S+)", LOCK, re.MULTILINE).group(1)
    assert chosen("cpu")["tensorflow-cpu"][0].startswith(f"tensorflow-cpu=={version} ")
    assert chosen("serving")["tensorflow-cpu"] == chosen("cpu")["tensorflow-cpu"]
    gpu = chosen("gpu")
    assert gpu["tensorflow"][0].startswith(f"tensorflow=={version} ")
    assert {"nvidia-cudnn-cu12", "nvidia-nccl-cu12", "nvidia-cuda-nvcc-cu12"} <= set(gpu)
    assert {"tensorflow-tpu", "libtpu"} <= set(chosen("tpu"))
    assert "tensorflow" not in chosen("tpu")


def test_the_server_has_tensorflow_and_nothing_of_tfx():
    assert not {"tfx", "apache-beam", "tensorflow-transform", "tfx-bsl", "pandas", "ml-metadata"} & set(
        chosen("serving")
    )


def test_an_extra_brings_its_packages_back():
    assert set(chosen("cpu", "kubeflow")) - set(chosen("cpu")) >= {"kfp", "kubernetes"}
    assert "google-cloud-storage" in chosen("cpu", "google-cloud")
    with pytest.raises(ValueError, match="no extra notebooks; it has google-cloud, mongo, kubeflow, notebook"):
        chosen("cpu", "notebooks")


def test_every_package_left_out_has_its_reason():
    lines = (CHECKOUT / "docker/left-out.txt").read_text(encoding="utf-8").splitlines()
    entries = [line for line in lines if line and line[0] not in "#["]
    assert [line for line in entries if len(line.split(maxsplit=1)) != 2] == []


def test_a_name_that_the_lock_no_longer_has_is_refused():
    lists = {"left-out.txt": "gone-package   it was large\n"}
    with pytest.raises(ValueError, match="requirements.lock has no gone-package"):
        packages.chosen("cpu", {"requirements": LOCK, "own": ""}, lists)


def test_without_an_engine_the_error_says_how_to_get_one(programs):
    with pytest.raises(SpecError, match=r"got no docker or podman.*scripts/container_engine"):
        images.container_engine()
    programs("docker", "exit 1")
    with pytest.raises(SpecError, match=r"got docker installed, and no answer.*scripts/container_engine"):
        images.container_engine()
    result = CliRunner().invoke(command, ["build"])
    assert isinstance(result.exception, SpecError)


def test_the_engine_that_answers_is_taken_and_a_variable_chooses(programs, monkeypatch):
    programs("podman", "exit 0")
    programs("docker", "exit 1")
    assert images.container_engine() == "podman"
    programs("docker", "exit 0")
    assert images.container_engine() == "docker"
    monkeypatch.setenv(images.ENGINE_VARIABLE, "podman")
    assert images.container_engine() == "podman"


RECORDING_ENGINE = """
case "$1" in
image) exit 1 ;;
build) printf '%s\\n' "$@" >"$RECORD/arguments"
  for last; do :; done
  cp -r "$last" "$RECORD/context"
  echo 'Step 1/2 : FROM somewhere' ;;
esac
"""


def test_a_build_gets_the_files_of_the_tag_and_the_machines_network(programs, checkout, tmp_path, monkeypatch):
    programs("docker", RECORDING_ENGINE)
    monkeypatch.setenv("RECORD", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "https://index.example/simple")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    (tmp_path / "authority.pem").write_text("-----BEGIN CERTIFICATE-----")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    wanted, lines = Image("cpu", ("mongo",), checkout=checkout), []
    name = image_build.build(wanted, "docker", lines.append)

    assert name == wanted.name()
    assert lines == ["Step 1/2 : FROM somewhere"]
    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert {f"--tag={name}", "--target=cpu", "--network=host", "--build-arg=EXTRAS=mongo"} <= set(arguments)
    assert "--build-arg=PIP_INDEX_URL=https://index.example/simple" in arguments
    assert "--build-arg=HTTPS_PROXY=http://proxy.example:3128" in arguments
    assert f"--label=dev.sluice.content={wanted.tag()}" in arguments
    context = tmp_path / "context"
    got = {file.relative_to(context) for file in context.rglob("*") if file.is_file()}
    assert got == {*wanted.files(), Path("docker/certificates/host.pem")}
    assert (context / "docker/certificates/host.pem").read_text() == "-----BEGIN CERTIFICATE-----"
    assert os.access(context / "docker/install_packages", os.X_OK)


def test_an_image_that_exists_is_not_built_again(programs):
    programs("docker", '[ "$1" = image ] || exit 9')
    assert image_build.build(Image("cpu"), "docker", print) == Image("cpu").name()


def test_a_failed_build_ends_with_the_engines_last_words(programs):
    programs("docker", '[ "$1" = image ] && exit 1; echo "no such host"; exit 7')
    with pytest.raises(ComponentError, match=r"(?s)failed with code 7:\nno such host\n.*scripts/base_image"):
        image_build.build(Image("cpu"), "docker", lambda line: None)


def test_pushing_what_was_not_built_is_refused(programs):
    programs("docker", '[ "$1" = image ] && exit 1; exit 0')
    expected = rf"no image {Image('gpu').name()}.*sluice image build --target gpu"
    with pytest.raises(SpecError, match=expected):
        image_build.push(Image("gpu"), "docker", "registry.example/ml", print)


def test_a_registry_that_refuses_is_named_with_the_remedy(programs):
    programs("docker", '[ "$1" = push ] && { echo "denied: no access"; exit 1; }; exit 0')
    with pytest.raises(ComponentError, match=r"(?s)denied: no access.*docker login registry.example"):
        image_build.push(Image("cpu"), "docker", "registry.example/ml", lambda line: None)


def test_labels_say_which_commit_of_what_without_the_password(checkout):
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=checkout, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert image_build.source_labels(Image("cpu", checkout=checkout)) == {}
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    git("remote", "add", "origin", "https://user:secret@git.example/team/sluice.git")
    commit = git("rev-parse", "HEAD")
    assert image_build.source_labels(Image("cpu", checkout=checkout)) == {
        "org.opencontainers.image.revision": commit,
        "org.opencontainers.image.source": "https://git.example/team/sluice.git",
    }
    (checkout / "README.md").write_text("not part of it")
    assert image_build.source_labels(Image("cpu", checkout=checkout))["org.opencontainers.image.revision"] == commit
    (checkout / "components/errors.py").write_text("changed")
    git("remote", "set-url", "origin", str(checkout))
    assert image_build.source_labels(Image("cpu", checkout=checkout)) == {
        "org.opencontainers.image.revision": f"{commit}-dirty"
    }


def test_hadolint_finds_nothing_in_the_dockerfile():
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, CHECKOUT / "docker" / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")
