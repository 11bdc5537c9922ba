"""Folders given to another artifact without a second copy of their bytes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def link_folder(source: str | Path, target: str | Path) -> None:
    """Give a folder the same files as another: hard links where the file system has them, else copies.

    Args:
        source: the folder with the files.
        target: the other one; it may be there already.
    """
    shutil.copytree(source, target, copy_function=_link_or_copy, dirs_exist_ok=True)


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
