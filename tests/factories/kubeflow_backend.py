"""Asks the Go program in tests/kubeflow_backend, which reads a pipeline with the libraries of KFP's backend."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

REPOSITORY = Path(__file__).parents[2]
SOURCE = REPOSITORY / "tests/kubeflow_backend"
BUILT = REPOSITORY / ".runtime/kubeflow-backend"
GO = "/usr/local/go/bin/go"  # where Go's own archives put it, if it is not on PATH


@dataclass(frozen=True)
class Read:
    """What the program found.

    Args:
        problems: what its parsers refuse.
        runs: for each condition that was asked whether the task runs, or the error text.
    """

    problems: list[str]
    runs: list[bool | str]


@functools.cache
def program() -> Path:
    """Return the program; it is built once for each version of its source."""
    files = [SOURCE / name for name in ("go.mod", "go.sum", "main.go")]
    version = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
    built = BUILT / version / "kubeflow_backend"
    if not built.exists():
        go = shutil.which("go") or GO
        assert Path(go).exists(), "building tests/kubeflow_backend needs Go 1.26 or later on PATH or in /usr/local/go"
        built.parent.mkdir(parents=True, exist_ok=True)
        unfinished = built.with_suffix(f".{os.getpid()}")
        command = [go, "build", "-trimpath", "-o", unfinished, "."]
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        unfinished.replace(built)
    return built


def read(yaml: str, conditions: list[tuple[str, Mapping[str, Any]]], folder: Path) -> Read:
    """Let the backend's libraries read a compiled pipeline.

    Args:
        yaml: both documents.
        conditions: each with the parameter values of the task that has it.
        folder: for the files that the program is given.
    """
    questions = [
        {"condition": condition, "input": {"inputs": {"parameterValues": values}}} for condition, values in conditions
    ]
    paths = [folder / name for name in ("descriptors", "pipeline.yaml", "questions.json")]
    paths[0].write_bytes(_descriptors())
    paths[1].write_text(yaml)
    paths[2].write_text(json.dumps(questions))
    done = subprocess.run([program(), *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    return Read(said["problems"], [answer.get("error") or answer["runs"] for answer in said["answers"]])


def conditions_in(pipeline_spec: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield each condition of a pipeline, and the parameters that it reads."""
    parts = [pipeline_spec["root"], *pipeline_spec["components"].values()]
    for part in parts:
        for task in part.get("dag", {}).get("tasks", {}).values():
            if condition := task.get("triggerPolicy", {}).get("condition"):
                yield condition, re.findall(r"parameter_values\['([^']+)'\]", condition)


def _descriptors() -> bytes:
    """Return KFP's messages and what they import, as the Python packages of the same release have them."""
    found: dict[str, FileDescriptor] = {}

    def add(file: FileDescriptor) -> None:
        for imported in file.dependencies:
            add(imported)
        found.setdefault(file.name, file)

    add(pipeline_spec_pb2.DESCRIPTOR)
    add(kubernetes_executor_config_pb2.DESCRIPTOR)
    files = descriptor_pb2.FileDescriptorSet()
    for file in found.values():
        file.CopyToProto(files.file.add())
    return files.SerializeToString()
