"""What a run says of the component that stopped it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.errors import ComponentError, causes
from pipelines.runners.runner import NodeFailedError
from pipelines.spec import LoadedSpec


def failure_of(failed: NodeFailedError, loaded: LoadedSpec, log: Path) -> dict[str, Any]:
    """Return component, message, place in the spec, remedy and log file of a failure, for `run.json`."""
    cause = next((each for each in causes(failed.cause) if isinstance(each, ComponentError)), None)
    where = cause.spec_path if cause and cause.spec_path else None
    return {
        "component": failed.name,
        "message": cause.message if cause else _last_line(failed.cause),
        "spec_path": where,
        "spec_line": loaded.where(where) if where else None,
        "remedy": cause.remedy if cause else "",
        "log": str(log),
    }


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:1000]
