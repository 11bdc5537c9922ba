"""What became of each slot of a schedule: `schedule.jsonl` in the pipeline's folder, one line per event."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from components.errors import Problem, SpecError

INTERRUPTED = "interrupted"
MOST_STARTS = 2
"""How often a slot is started whose run took the scheduler with it."""


@dataclass(frozen=True)
class Outcome:
    """How the run of one slot ended.

    Args:
        status: as in `run.json`, or `refused` (the spec or the data cannot be run), `crashed`, `interrupted`.
        exit_code: of `sluice run`.
        run_id: of the run, when it came so far.
        reasons: why, in words.
        span: the newest span that was read.
    """

    status: str
    exit_code: int
    run_id: str | None = None
    reasons: tuple[str, ...] = ()
    span: int | None = None


@dataclass(frozen=True)
class Entry:
    """One line of the log.

    Args:
        event: `started`, `ended`, or `missed`: slots in whose place a later one was run.
        slot: the slot; of those that were missed the last one.
        at: when it was written.
        first: the first slot that was missed.
        outcome: how the run ended.
        seconds: how long it took.
    """

    event: str
    slot: datetime
    at: datetime
    first: datetime | None = None
    outcome: Outcome | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Position:
    """Where a schedule has got to.

    Args:
        done: the last slot that needs nothing more; None when there is none.
        again: the slot whose run was cut off and is to be started again.
    """

    done: datetime | None = None
    again: datetime | None = None


@dataclass(frozen=True)
class ScheduleLog:
    """The log of one pipeline's schedule.

    Args:
        folder: the pipeline's folder.
    """

    folder: Path
    path: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.folder / "schedule.jsonl")

    def add(self, entry: Entry) -> None:
        """Append one line; what is written survives the machine going down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {key: value for key, value in asdict(entry).items() if value is not None}
        line = json.dumps(content, default=_text, ensure_ascii=False).encode() + b"\n"
        with self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                # a crash may have cut off the last line; it must not take this one with it
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[Entry]:
        """Return what was written, oldest first; a last line that was cut off by a crash does not count."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        found = [_entry(line) for line in lines]
        return [entry for entry in found if entry is not None]

    def position(self) -> Position:
        """Return where the schedule has got to."""
        done: datetime | None = None
        again: datetime | None = None
        starts = 0
        for entry in self.entries():
            if entry.event == "started":
                starts = starts + 1 if again == entry.slot else 1
                again = entry.slot
            elif entry.event == "missed":
                done = entry.slot
            elif entry.outcome is not None and entry.outcome.status == INTERRUPTED:
                again, starts = entry.slot, 0
            else:
                done, again, starts = entry.slot, None, 0
        if again is not None and starts >= MOST_STARTS:
            return Position(again)
        return Position(done, again)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Hold the schedule, so that no slot is run twice.

        Raises:
            SpecError: another process watches it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "schedule.lock").open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                file.seek(0)
                raise SpecError([_held(self.folder, file.read().strip())]) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def _held(folder: Path, process: str) -> Problem:
    return Problem(
        "schedule",
        f"a second `schedule run` of {folder}",
        f"one at a time: process {process or 'unknown'} watches it",
        "Stop that one, or give this one its own folder with `--root`.",
    )


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _entry(line: str) -> Entry | None:
    try:
        read = json.loads(line)
    except ValueError:
        return None
    outcome = read.get("outcome")
    return Entry(
        event=read["event"],
        slot=datetime.fromisoformat(read["slot"]),
        at=datetime.fromisoformat(read["at"]),
        first=datetime.fromisoformat(read["first"]) if "first" in read else None,
        outcome=Outcome(**{**outcome, "reasons": tuple(outcome["reasons"])}) if outcome else None,
        seconds=read.get("seconds"),
    )
