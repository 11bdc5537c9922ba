"""What finished trials gave, one line each, so that a search that was cut off goes on with them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "trials.jsonl"


@dataclass(frozen=True)
class Outcome:
    """What came of one trial.

    Args:
        score: the objective at its best epoch; None when the trial failed.
        epochs: epochs that were trained.
        seconds: duration.
        error: why it failed.
    """

    score: float | None
    epochs: int
    seconds: float
    error: str | None = None


class Journal:
    """The finished trials of one search, in a file.

    Args:
        folder: where it lies; None keeps nothing.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> Journal(folder).add({"x": 1}, 3, Outcome(0.5, 3, 1.0))
        >>> Journal(folder).find({"x": 1}, 3)
        Outcome(score=0.5, epochs=3, seconds=1.0, error=None)
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._found: dict[str, Outcome] = {}
        if folder is not None and (folder / FILE).is_file():
            for line in (folder / FILE).read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                    self._found[_key(entry["values"], entry["budget"])] = Outcome(**entry["outcome"])
                except (ValueError, KeyError, TypeError):
                    continue  # the line that was being written when the process was killed

    def __len__(self) -> int:
        return len(self._found)

    def find(self, values: Mapping[str, Any], budget: int) -> Outcome | None:
        """Return what a trial of these values and epochs gave, or None when there was none."""
        return self._found.get(_key(values, budget))

    def add(self, values: Mapping[str, Any], budget: int, outcome: Outcome) -> None:
        """Write down a finished trial."""
        self._found[_key(values, budget)] = outcome
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / FILE).open("a", encoding="utf-8") as file:
            # a line of its own, also behind one that was cut off
            file.write("\n" + json.dumps({"values": dict(values), "budget": budget, "outcome": asdict(outcome)}))
            file.flush()
            os.fsync(file.fileno())

    def clear(self) -> None:
        """Delete it: the search is over."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def _key(values: Mapping[str, Any], budget: int) -> str:
    return json.dumps([dict(values), budget], sort_keys=True)
