"""Which files a component's code really is: what it imports of this project, and nothing beside."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGES = Path(__file__).parent.parent
NEVER_CHANGES_A_RESULT = frozenset({"components.errors", "components.engine.progress", "components.engine.choice"})


def code_hashes(section: str, component: str, plugins: Iterable[str]) -> dict[str, str]:
    """Return module name to a hash of its text, for all project modules that a component imports.

    Args:
        section: its folder in `components/`.
        component: name of the function that makes it.
        plugins: modules that are loaded by name and so are no import.
    """
    pending = [_entry(f"components.{section}.component", component), *plugins]
    seen: dict[str, str] = {}
    while pending:
        module = pending.pop()
        if module in seen or module in NEVER_CHANGES_A_RESULT:
            continue
        digest, imported = _read(module)
        if digest is None:
            continue
        seen[module] = digest
        pending.extend(imported)
    return dict(sorted(seen.items()))


def _entry(module: str, component: str) -> str:
    """Follow a re-export, so that components that share a folder do not share each other's code."""
    file = _file(module)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if file else ():
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = {alias.asname or alias.name for alias in node.names}
            if component in names:
                return node.module
    return module


def _file(module: str) -> Path | None:
    path = PACKAGES / Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@functools.cache
def _read(module: str) -> tuple[str | None, tuple[str, ...]]:
    file = _file(module)
    if file is None or not module.startswith("components"):
        return None, ()
    text = file.read_bytes()
    imported: set[str] = set()
    if b"components" in text:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("components"):
                imported.add(node.module)
                imported.update(f"{node.module}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names if alias.name.startswith("components"))
    return hashlib.sha256(text).hexdigest()[:16], tuple(sorted(imported))
