"""What the benchmarks of single steps share: a step here, the same there, how long both take and whether they agree."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

SHORT_SECONDS = 2.0
"""What takes longer is timed once; else the best of three counts, since other load only ever slows one down."""


@dataclass(frozen=True)
class Timed:
    """What a call took and gave.

    Args:
        wall: seconds.
        processor: seconds of all processors that the process used.
        result: what it returned.
    """

    wall: float
    processor: float
    result: Any


@dataclass(frozen=True)
class Case:
    """One step, done by Sluice and by others in memory.

    Args:
        step: as it stands in a spec.
        columns: what it works on, in words.
        rival: the others' function, by name.
        theirs: does it their way.
        ours: does it Sluice's way.
        same: raises AssertionError unless both results are equal; returns how equal, in words.
    """

    step: str
    columns: str
    rival: str
    theirs: Callable[[], Any]
    ours: Callable[[], Any]
    same: Callable[[Any, Any], str]


def timed(work: Callable[[], Any]) -> Timed:
    """Run once, or three times when it is short."""
    best = _once(work)
    for _ in range(2):
        if best.wall < SHORT_SECONDS:
            best = min(best, _once(work), key=lambda each: each.wall)
    return best


def _once(work: Callable[[], Any]) -> Timed:
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return Timed(time.perf_counter() - wall, time.process_time() - processor, result)


DIFFERENT = "DIFFERENT"
HEAD = (
    "| step | on | against | its s | Sluice, s | ratio | processor s, both | equal |\n|---|---|---|--:|--:|--:|--:|---|"
)


def lines(cases: Iterator[Case]) -> Iterator[str]:
    """Yield a row of a Markdown table per case; bold is a row in which Sluice loses."""
    yield HEAD
    for case in cases:
        theirs, ours = timed(case.theirs), timed(case.ours)
        try:
            equal = case.same(theirs.result, ours.result)
        except AssertionError as error:
            equal = f"{DIFFERENT}: {error}"
        ratio = ours.wall / theirs.wall
        bold = "**" if ratio > 1 else ""
        cells = [f"{bold}`{case.step}`{bold}", case.columns, case.rival, f"{theirs.wall:.2f}", f"{ours.wall:.2f}"]
        cells += [f"{bold}{ratio:.2f}×{bold}", f"{theirs.processor:.1f}, {ours.processor:.1f}", equal]
        yield "| " + " | ".join(cells) + " |"
