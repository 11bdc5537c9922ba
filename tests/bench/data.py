"""The taxi file that TFX ships, sampled up to any number of rows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

TAXI = "examples/chicago_taxi_pipeline/data/simple/data.csv"
TIMESTAMP = 5


def taxi_file() -> Path:
    """Return the CSV file inside the installed tfx package."""
    spec = importlib.util.find_spec("tfx")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("tfx is not installed")
    return Path(spec.submodule_search_locations[0]) / TAXI


def write_sample(rows: int, path: Path, seed: int = 0) -> Path:
    """Write `rows` rows drawn with replacement; the file as it is when it has that many.

    The time stamp, which no feature uses, is made unique, so that no row is another's duplicate.
    """
    lines = taxi_file().read_text().splitlines()
    header, body = lines[0], [line.split(",") for line in lines[1:]]
    picks = np.arange(rows) if rows == len(body) else np.random.default_rng(seed).integers(0, len(body), rows)
    with path.open("w") as file:
        file.write(header + "\n")
        for number, pick in enumerate(picks.tolist()):
            cells = list(body[pick])
            cells[TIMESTAMP] = str(1_400_000_000 + number)
            file.write(",".join(cells) + "\n")
    return path
