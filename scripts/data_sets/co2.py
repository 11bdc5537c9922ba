"""Carbon dioxide at Mauna Loa: 2,284 weeks in a row, 59 of them without a value."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import datetime
from pathlib import Path


def convert(wheel: zipfile.ZipFile, target: Path) -> int:
    """Write a CSV with ISO dates, and return the number of rows."""
    text = wheel.read("statsmodels/datasets/co2/co2.csv").decode()
    rows = [
        [datetime.strptime(row["date"], "%Y%m%d").date().isoformat(), row["co2"]]
        for row in csv.DictReader(io.StringIO(text))
    ]
    with target.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([["date", "co2"], *rows])
    return len(rows)
