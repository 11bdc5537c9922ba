"""Who may import whom is written in pyproject.toml; this runs import-linter over it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_every_import_contract_is_kept():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_spec_is_read_without_loading_anything_heavy():
    """The linter cannot see what is imported by name, as plug-ins are."""
    modules = ["pipelines.spec"]
    modules += [f"components.{config.parent.name}.config" for config in REPOSITORY.glob("components/*/config.py")]
    heavy = ("tensorflow", "tfx", "apache_beam", "keras", "kfp", "tensorflow_transform", "tensorflow_model_analysis")
    code = f"import sys, {', '.join(modules)}\nprint(*{set(heavy)} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
