"""Heart disease, Cleveland: 303 patients, 13 columns, six values missing."""

from __future__ import annotations

import csv
import re
import zipfile
from pathlib import Path

_HEADER_LINES = 3  # Orange's format: names, types, roles


def convert(wheel: zipfile.ZipFile, target: Path) -> int:
    """Write a CSV with names in snake case and empty cells for `?`, and return the number of rows."""
    lines = wheel.read("Orange/datasets/heart_disease.tab").decode().splitlines()
    names = [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in lines[0].split("\t")]
    rows = [["" if cell == "?" else cell for cell in line.split("\t")] for line in lines[_HEADER_LINES:] if line]
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])
    return len(rows)
