"""The command line in a process of its own, on one pipeline folder, and what its runs left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUICK = ("training.epochs=2", "evaluation.bootstrap_samples=50")


@dataclass
class Sluice:
    """The command line, on one pipeline folder.

    Args:
        root: the pipeline's folder.
        cwd: where commands are typed.
    """

    root: Path
    cwd: Path

    def __call__(
        self, *arguments: str, check: int | None = 0, timeout: float = 400
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; fail when it does not exit with `check`."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.cwd, capture_output=True, text=True, timeout=timeout, env=environment()
        )
        if check is not None:
            assert done.returncode == check, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command and return at once."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.cwd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )

    def command(self, name: str, *arguments: str) -> list[str]:
        """Return the words of a command; it works on this pipeline's folder."""
        root = ["--root", str(self.root)] if name not in {"validate", "list", "schema", "init", "doctor"} else []
        return [sys.executable, "-m", "pipelines.cli", name, *arguments, *root]

    def latest(self) -> dict[str, Any]:
        """Return the newest `run.json`."""
        return json.loads(sorted((self.root / "runs").glob("*/run.json"))[-1].read_text())

    def versions(self) -> list[int]:
        """Return the numbers of the served versions, oldest first."""
        folder = self.root / "serving"
        return sorted(int(item.name) for item in folder.iterdir() if item.name.isdigit()) if folder.is_dir() else []


def environment() -> dict[str, str]:
    """Return the environment of a user's shell."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def actions(run: dict[str, Any]) -> dict[str, str]:
    """Return component name to how it ended."""
    return {node["name"]: node["status"] for node in run["nodes"]}


def output(run: dict[str, Any], node: str, key: str) -> Path:
    """Return the folder of one output."""
    return Path(next(item for item in run["nodes"] if item["name"] == node)["outputs"][key])
