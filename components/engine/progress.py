"""Progress of long work, told to whoever watches the run: one line of JSON per event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def report(
    runtime: Mapping[str, Any], component: str, text: str, *, done: float | None = None, total: float | None = None
) -> None:
    """Say how far a component is; does nothing when nobody watches.

    Args:
        runtime: the component's runtime; its `progress` is the file that the runner reads, `-` for standard output.
        component: name of the component.
        text: a few words for the screen, such as `epoch 3/10, val_auc 0.91`.
        done: amount of work done, in any unit.
        total: amount of work in all, in that unit.
    """
    path = runtime.get("progress")
    if not path:
        return
    event = {"component": component, "text": text, "done": done, "total": total}
    if path == "-":
        print(json.dumps({"progress": event}), flush=True)  # noqa: T201 - what a container has for a progress file
        return
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")


def event_of(line: str) -> dict[str, Any]:
    """Return what a process tells of its `progress` or its `failure` in a line of its output; nothing in any other.

    Example:
        >>> event_of('{"failure": {"message": "no rows"}}'), event_of("epoch 3"), event_of('{"rows": 7}')
        ({'failure': {'message': 'no rows'}}, {}, {})
    """
    if not line.startswith('{"'):
        return {}
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.keys() & {"progress", "failure"} else {}
