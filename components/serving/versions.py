"""Which versions of a model a folder offers, in TF Serving's layout `FOLDER/VERSION/saved_model.pb`."""

from __future__ import annotations

from pathlib import Path

SAVED_MODEL_FILE = "saved_model.pb"


def versions(push_to: str | Path) -> list[int]:
    """Return the complete versions in a folder, oldest first; none when the folder does not exist.

    A version is a folder named by a whole number that holds a SavedModel. Everything else is passed over: a copy still
    being made lies in a folder whose name begins with a dot.
    """
    folder = Path(push_to)
    if not folder.is_dir():
        return []
    return sorted(int(entry.name) for entry in folder.iterdir() if _is_version(entry))


def current_version(push_to: str | Path) -> int | None:
    """Return the version that a server serves, the newest, or None when there is none."""
    found = versions(push_to)
    return found[-1] if found else None


def version_folder(push_to: str | Path, version: int) -> Path:
    """Return the folder of a version."""
    return Path(push_to) / str(version)


def is_version_name(name: str) -> bool:
    """Return True for a whole number without leading zeros."""
    return name.isascii() and name.isdecimal() and str(int(name)) == name


def _is_version(entry: Path) -> bool:
    return is_version_name(entry.name) and (entry / SAVED_MODEL_FILE).is_file()
