"""Which engine computes: Arrow in this process while the data fit, Beam beyond."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from components.engine.config import EngineConfig

GZIP_EXPANSION = 10
"""Bytes of tf.Examples per byte of gzip; measured on the taxi data, 520 MB against 46 to 54."""


def choose_engine(engine: EngineConfig, bytes_in: int) -> Literal["arrow", "beam"]:
    """Return the engine for data of `bytes_in` uncompressed bytes (`bytes_in_folder` estimates them).

    Example:
        >>> choose_engine(EngineConfig(), 1000)
        'arrow'
        >>> choose_engine(EngineConfig(beam_pipeline_args=("--runner=FlinkRunner",)), 1000)
        'beam'
    """
    if engine.name != "auto":
        return engine.name
    if engine.has_own_beam_runner:
        return "beam"
    import psutil

    return "arrow" if bytes_in <= engine.memory_fraction * psutil.virtual_memory().available else "beam"


def bytes_in_folder(folder: str | Path) -> int:
    """Return about how many uncompressed bytes the files of a folder hold, its subfolders included."""
    files = (file for file in Path(folder).rglob("*") if file.is_file())
    return sum(file.stat().st_size * (GZIP_EXPANSION if file.suffix == ".gz" else 1) for file in files)
