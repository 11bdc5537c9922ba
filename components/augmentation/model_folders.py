"""Folders with models for translation: how the spec names them, and what changes with their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import Field

from components.config import Section

MODEL_FILE = "model.bin"
"""What a folder of CTranslate2's converters always holds."""


class ModelFolders(Section):
    """Two models as CTranslate2's converters write them.

    Args:
        forward: folder of the model from the language of the texts to another one.
        backward: folder of the model back.
    """

    forward: str = Field(min_length=1)
    backward: str = Field(min_length=1)


class Ctranslate2(Section):
    """In YAML `{ctranslate2: {forward: FOLDER, backward: FOLDER}}`."""

    ctranslate2: ModelFolders


def digest_of(folder: Path) -> str:
    """Return what changes with any file of a model, hexadecimal."""
    found = hashlib.sha256()
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        found.update(f"{file.relative_to(folder)}\0{content}\0".encode())
    return found.hexdigest()
