"""What the README shows works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml
from click.testing import CliRunner

from pipelines.cli import cli
from pipelines.spec import PipelineSpec
from tests.factories.sluice_command import environment

HOME = Path(__file__).parents[2]
README = (HOME / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_spec_is_valid_and_so_is_every_section_that_is_shown_alone():
    whole, *sections = [yaml.safe_load(text) for text in blocks("yaml")]
    assert PipelineSpec.model_validate(whole).name == "taxi"
    assert len(sections) >= 2
    for shown in sections:
        merged = {**whole, **{key: {**(whole.get(key) or {}), **value} for key, value in shown.items()}}
        assert PipelineSpec.model_validate(merged).model_dump(include=set(shown)).keys() == shown.keys()


def test_the_python_runs(tmp_path):
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment(), timeout=400
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert printed[1].startswith("pushed 0 0.9")
    assert "probability" in printed[-1]


def test_every_command_of_the_table_exists():
    named = set(re.findall(r"`sluice (\w+)", README))
    assert named <= set(cli.commands)
    assert named >= set(cli.commands)


def test_every_target_of_make_that_is_named_exists():
    targets = set(re.findall(r"^(\w+):", (HOME / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make (\w+)", README)) - {"run", "test", "bench"} <= targets
    assert targets >= {"run", "test", "bench", "lint", "lock", "clean"}


def test_help_of_every_command_is_there():
    for name in cli.commands:
        result = CliRunner().invoke(cli, [name, "--help"])
        assert result.exit_code == 0
        assert "Usage" in result.output
