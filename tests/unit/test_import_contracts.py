"""Who may import whom is written in pyproject.toml; this runs import-linter over it."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def test_every_imported_package_is_a_declared_dependency():
    """What comes only through another package can leave with that package's next version."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    declared = {canonicalize_name(Requirement(line).name) for line in [*project["dependencies"], *extras]}
    providers = importlib.metadata.packages_distributions()
    undeclared = {}
    for file in [*REPOSITORY.glob("pipelines/**/*.py"), *REPOSITORY.glob("components/**/*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported = [node.module]
            for package in {name.split(".")[0] for name in imported}:
                ours = package in sys.stdlib_module_names or package in ("pipelines", "components")
                if not ours and not declared & {canonicalize_name(name) for name in providers.get(package, [])}:
                    undeclared[package] = str(file.relative_to(REPOSITORY))
    assert undeclared == {}
