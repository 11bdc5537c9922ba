"""What to tell whoever names raw data that are not there."""

from __future__ import annotations

import os
from pathlib import Path

from components.catalog import nearest
from components.data.remote import WILDCARDS
from components.engine.storage import is_remote
from components.errors import Problem, SpecError


def nothing_there(data_path: str) -> SpecError:
    """Return the error for a resolved `data.path` that stands for no file."""
    if os.path.isdir(data_path):
        return _problem(f"{data_path!r}, an empty folder", "a folder with files in it", "Put the raw files there.")
    if any(mark in data_path for mark in WILDCARDS):
        return _problem(f"{data_path!r}, which matches no file", "a pattern that matches files", "Check the pattern.")
    folder = os.path.dirname(data_path)
    if not is_remote(data_path) and _is_made_by_make(data_path):
        made = "a file of the example data sets"
        return _problem(f"{data_path!r}, which is not there", made, "Make it: run `make data`.")
    near = _nearest_file(data_path) if not is_remote(data_path) else None
    if near:
        remedy = f"Did you mean {near!r}?"
    elif is_remote(data_path) or os.path.isdir(folder):
        remedy = "Check the name."
    else:
        remedy = f"There is no folder {folder!r}; relative paths start at the spec's folder."
    return _problem(f"{data_path!r}, which is not there", "a file, a glob, a folder or a URL", remedy)


def _is_made_by_make(path: str) -> bool:
    """True for a file or folder in the `data` of a checkout that `make data` makes."""
    folder, name = os.path.split(os.path.normpath(path))
    converter = Path(folder).parent / "scripts" / "data_sets" / f"{Path(name).stem}.py"
    return os.path.basename(folder) == "data" and converter.is_file()


def _nearest_file(path: str) -> str | None:
    folder, name = os.path.split(path)
    return nearest(name, os.listdir(folder)) if os.path.isdir(folder) else None


def _problem(received: str, expected: str, remedy: str) -> SpecError:
    return SpecError([Problem("data.path", received, expected, remedy)])
