"""How many rows each class had before and after balancing: what it takes to put predicted probabilities right."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "class_counts.json"


@dataclass(frozen=True)
class ClassCounts:
    """Rows of the train split by class, before and after balancing.

    Args:
        before: class id to rows, as the data have them.
        after: class id to rows, as the model learns from them.
        correct: whether the exported model is to undo the difference.
    """

    before: dict[int, int]
    after: dict[int, int]
    correct: bool = True

    def write(self, folder: str | Path) -> None:
        """Write them beside the splits of an Examples artifact."""
        Path(folder, FILE).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    @classmethod
    def of(cls, written: Mapping[str, Any] | None) -> ClassCounts | None:
        """Return them from what `read` returned, or None from None."""
        if written is None:
            return None
        before, after = ({int(label): count for label, count in written[key].items()} for key in ("before", "after"))
        return cls(before, after, written["correct"])

    @staticmethod
    def read(folder: str | Path) -> dict[str, Any] | None:
        """Return what the Balancer left in an Examples artifact, as JSON; None when another component wrote it."""
        file = Path(folder, FILE)
        if not file.is_file():
            return None
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def odds(self, classes: int) -> tuple[float, ...]:
        """Return for each class its share before over its share after, 1 for a class that has no rows.

        Example:
            >>> ClassCounts({0: 90, 1: 10}, {0: 90, 1: 90}).odds(2)
            (1.8, 0.2)
        """
        before, after = sum(self.before.values()), sum(self.after.values())
        return tuple(
            self.before[label] / before / (self.after[label] / after) if self.after.get(label) else 1.0
            for label in range(classes)
        )
