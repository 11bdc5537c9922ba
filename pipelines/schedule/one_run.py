"""One run of a schedule, in a process of its own: whatever it does to its memory, the schedule goes on."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.errors import ComponentError, SpecError
from pipelines.notify import NotifyConfig, message, send
from pipelines.schedule.log import Outcome

SECONDS_TO_STOP = 60.0
"""How long an interrupted run may take to write down how far it came."""
INTERRUPTS = 4
LINES_KEPT = 12


def run_in_process(arguments: Sequence[str], root: Path) -> Outcome:
    """Run `sluice run` and say how it ended.

    Args:
        arguments: the spec, its overrides and options.
        root: the pipeline's folder on this machine.

    Raises:
        KeyboardInterrupt: the user stopped it; the run was told and has ended.
    """
    command = [sys.executable, "-m", "pipelines.cli", "run", *arguments, "--wait"]
    before = _runs(root)
    # its own session: Ctrl-C on the terminal reaches it once, through here, and not twice
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True)
    said: deque[str] = deque(maxlen=LINES_KEPT)
    try:
        for line in process.stderr or ():
            sys.stderr.write(line)
            said.append(line.strip())
        code = process.wait()
    except KeyboardInterrupt:
        stop(process)
        raise
    new = sorted(_runs(root) - before)
    record = _record(root / "runs" / new[-1] / "run.json") if new else None
    if record is not None and record["status"] != "running":
        return outcome_of(record, code)
    run_id = new[-1] if new else None
    if code < 0:
        return Outcome("crashed", code, run_id, (f"the run was killed by {signal.Signals(-code).name}",))
    status = "refused" if code == SpecError.exit_code else "crashed"
    return Outcome(status, code, run_id, (" ".join(line for line in said if line) or f"it ended with {code}",))


def outcome_of(record: Mapping[str, Any], exit_code: int) -> Outcome:
    """Return what a schedule keeps of a run.

    Args:
        record: its `run.json`.
        exit_code: of `sluice run`.
    """
    spans = (record.get("data") or {}).get("spans") or []
    return Outcome(
        status=str(record["status"]),
        exit_code=exit_code,
        run_id=str(record["run_id"]),
        reasons=tuple(_reasons(record)),
        span=spans[-1]["span"] if spans else None,
    )


def refused(error: SpecError) -> Outcome:
    """Return the outcome of a run that could not start."""
    return Outcome("refused", error.exit_code, reasons=tuple(str(problem) for problem in error.problems))


def tell(config: NotifyConfig | None, pipeline: str, outcome: Outcome) -> str | None:
    """Tell the webhook of a run that could not do so itself; return why that failed, if it did.

    Args:
        config: section `notify`.
        pipeline: its name.
        outcome: how the run ended.
    """
    if config is None or outcome.status not in ("refused", "crashed"):
        return None
    record = {
        "pipeline": pipeline,
        "run_id": outcome.run_id,
        "status": "failed",
        "failure": {"component": None, "message": "; ".join(outcome.reasons)},
    }
    try:
        send(config, message(record))
    except ComponentError as error:
        return str(error)
    return None


def _reasons(record: Mapping[str, Any]) -> list[str]:
    decision, verdict = record.get("decision") or {}, record.get("verdict") or {}
    if failure := record.get("failure"):
        message = " ".join(str(failure["message"]).split())
        return [f"{failure['component']}: {message}" if failure.get("component") else message]
    if record["status"] == "blocked":
        return [*verdict.get("reasons", []), *decision.get("reasons", [])]
    if record["status"] == "cached":
        return ["nothing to do: all results are there"]
    return list(decision.get("reasons", []))


def stop(process: subprocess.Popen[str]) -> None:
    """End a run as Ctrl-C does, or by force when it does not listen.

    An interrupt that arrives in a callback or a finaliser is lost, since nothing can be raised there: it is repeated.
    """
    for _ in range(INTERRUPTS):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_STOP / INTERRUPTS)
            return
    process.kill()
    process.wait()


def _runs(root: Path) -> set[str]:
    folder = root / "runs"
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


def _record(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found
