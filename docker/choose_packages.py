"""Writes the locked requirements of one image to standard output: `python docker/choose_packages.py cpu [EXTRA...]`.

Nothing is resolved: an image holds requirements.lock, less docker/left-out.txt, with the target's own lock in it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

OWN_LOCKS = {"cpu": "cpu.lock", "gpu": "gpu.lock", "tpu": "tpu.lock", "serving": "cpu.lock"}
OTHER_TENSORFLOW = ("cpu", "tpu", "serving")
"""Targets whose own lock holds another build of TensorFlow than the wheel `tensorflow`."""


def pins(lock: str) -> dict[str, list[str]]:
    """Return the entries of a lock by package name; a package with markers can have several."""
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", "\n" + "".join(_lines(lock, comments="#"))):
        if entry.strip():
            found.setdefault(entry.strip().split("==")[0], []).append(entry.strip())
    return found


def left_out(text: str, extras: Iterable[str]) -> list[str]:
    """Return the names of left-out.txt that stay out of an image with these extras."""
    known: list[str] = re.findall(r"^\[([^\]]+)\]$", text, re.MULTILINE)
    if unknown := sorted(set(extras) - set(known)):
        raise ValueError(f"docker/left-out.txt has no extra {', '.join(unknown)}; it has {', '.join(known)}")
    names, heading = [], ""
    for line in _lines(text, comments="#"):
        if line.startswith("["):
            heading = line.strip()[1:-1]
        elif heading not in extras:
            names.append(line.split()[0])
    return names


def chosen(target: str, locks: Mapping[str, str], lists: Mapping[str, str], extras: Sequence[str] = ()) -> str:
    """Return the requirements of a target.

    Args:
        target: cpu, gpu, tpu or serving.
        locks: texts of `requirements` and `own`, the target's lock.
        lists: texts of `left-out.txt` and `serving.txt`, as far as the target needs them.
        extras: headings of left-out.txt whose packages come along.

    Raises:
        ValueError: a list names a package that requirements.lock lacks, or an extra does not exist.
    """
    every = pins(locks["requirements"])
    if target == "serving":
        names = [line.split()[0] for line in _lines(lists["serving.txt"], comments="#")]
        listed, kept = names, set(names)
    else:
        listed = left_out(lists["left-out.txt"], extras)
        kept = set(every) - set(listed)
    if stale := sorted(set(listed) - set(every)):
        raise ValueError(f"requirements.lock has no {', '.join(stale)}: take the name off docker's list for {target}")
    if target in OTHER_TENSORFLOW:
        kept.discard("tensorflow")
    entries = [entry for name in sorted(kept) for entry in every[name]]
    entries += [entry for group in pins(locks["own"]).values() for entry in group]
    return "\n".join(entries) + "\n"


def _lines(text: str, comments: str) -> list[str]:
    return [line + "\n" for line in text.splitlines() if line.strip() and not line.startswith(comments)]


def main(target: str, *extras: str) -> None:
    folder = Path("docker")
    locks = {"requirements": Path("requirements.lock").read_text(), "own": (folder / OWN_LOCKS[target]).read_text()}
    lists = {file.name: file.read_text() for file in folder.glob("*.txt")}
    sys.stdout.write(chosen(target, locks, lists, extras))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ValueError as error:
        sys.exit(f"choose_packages: {error}")
