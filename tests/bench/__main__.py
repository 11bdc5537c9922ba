"""`make bench`: the whole pipeline against the stock TFX chain and against a floor without TFX, in one run.

    python -m tests.bench [--rows 15002 150000 1000000] [--without-stock]

Each contender runs in a process of its own, one after another. Memory is the largest resident memory of a process and
its children, sampled five times a second. The table is Markdown, with the rows in which Sluice loses.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.data import write_sample

HERE = Path(__file__).parent.parent.parent
COMPONENTS = ("ExampleGen", "Cleaner", "StatisticsGen", "Transform", "Trainer", "Evaluator")
STOCK_NAMES = {"CsvExampleGen": "ExampleGen"}
SIZES = {15_002: (128, 10), 150_000: (1024, 8), 1_000_000: (4096, 5)}
"""Rows to batch size and epochs: about 800 training steps each."""


@dataclass
class Measured:
    """What one contender took.

    Args:
        seconds: wall time of its process.
        memory_mb: largest resident memory, MB.
        components: seconds per component.
    """

    seconds: float
    memory_mb: float
    components: dict[str, float]


def measure(command: list[str], log: Path) -> Measured:
    """Run a command to its end and measure it.

    Raises:
        RuntimeError: it failed; the message ends with the last lines of its output.
    """
    began = time.perf_counter()
    peak = 0.0
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=HERE)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _resident(watched))
            time.sleep(0.2)
    seconds = time.perf_counter() - began
    lines = log.read_text(errors="replace").splitlines()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n" + "\n".join(lines[-20:]))
    results = [line.removeprefix("RESULT ") for line in lines if line.startswith("RESULT ")]
    return Measured(seconds, peak / 1e6, json.loads(results[-1]) if results else {})


def _resident(process: psutil.Process) -> float:
    try:
        return sum(item.memory_info().rss for item in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0.0


def run_sluice(data: Path, root: Path, batch_size: int, epochs: int, log: Path) -> tuple[Measured, Measured]:
    """Run the taxi pipeline twice: from nothing, and again with nothing to do."""
    command = [
        *[sys.executable, "-m", "pipelines.cli", "run", "taxi", f"data.path={data}", "--root", str(root)],
        *[f"training.batch_size={batch_size}", f"training.epochs={epochs}", "training.early_stopping=null"],
        *["evaluation.gate=[auc >= 0.5]"],
    ]
    first = measure(command, log)
    records = sorted((root / "runs").glob("*/run.json"))
    nodes = json.loads(records[-1].read_text())["nodes"]
    first.components = {node["name"]: node["seconds"] for node in nodes}
    return first, measure(command, log)


def bench(rows: int, folder: Path, *, stock: bool) -> list[str]:
    """Measure one size; return the lines of its table."""
    batch_size, epochs = SIZES.get(rows, (max(128, rows // 250), 5))
    steps = epochs * int(rows * 2 / 3 / batch_size)
    data = write_sample(rows, _fresh(folder / "data") / "data.csv")
    python = [sys.executable, "-m"]
    floor_root, stock_root = _fresh(folder / "floor"), _fresh(folder / "stock")
    shape = [str(steps), str(epochs), str(batch_size)]
    floor = measure([*python, "tests.bench.floor", str(data), str(floor_root), *shape], folder / "floor.log")
    ours, again = run_sluice(data, _fresh(folder / "sluice"), batch_size, epochs, folder / "sluice.log")
    theirs = None
    if stock:
        command = [*python, "tests.bench.stock", str(data), str(stock_root), *shape, str(rows // 3)]
        theirs = measure(command, folder / "stock.log")
        theirs.components = {STOCK_NAMES.get(key, key): value for key, value in theirs.components.items()}
    size = f"{rows:,} rows, {data.stat().st_size / 1e6:.0f} MB, {steps} steps of {batch_size}"
    return table(size, floor, ours, again, theirs)


def table(size: str, floor: Measured, ours: Measured, again: Measured, theirs: Measured | None) -> list[str]:
    """Return a Markdown table; a ratio above 1 is a row in which Sluice loses."""
    lines = [f"\n**{size}**\n", "| | stock TFX, s | Sluice, s | ratio | floor, s |", "|---|--:|--:|--:|--:|"]

    def row(name: str, stock: float | None, sluice: float, floor: float | None, unit: str = ".1f") -> None:
        ratio = f"{sluice / stock:.2f}×" if stock else "–"
        cells = ["–" if value is None else f"{value:,{unit}}" for value in (stock, sluice, floor)]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {ratio} | {cells[2]} |")

    row("whole pipeline", theirs and theirs.seconds, ours.seconds, floor.seconds)
    for name in COMPONENTS:
        row(name, theirs and theirs.components.get(name), ours.components[name], floor.components.get(name))
    row("identical second run", None, again.seconds, None)
    row("peak memory, MB", theirs and theirs.memory_mb, ours.memory_mb, floor.memory_mb, ".0f")
    return lines


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--without-stock", action="store_true")
    arguments = parser.parse_args()
    memory = psutil.virtual_memory().total / 2**30
    machine = f"{psutil.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"
    print(f"{datetime.date.today()}, {machine}")
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        for rows in arguments.rows:
            print("\n".join(bench(rows, Path(folder), stock=not arguments.without_stock)), flush=True)


if __name__ == "__main__":
    main()
