"""The exit handler: tell others how the run ended, whatever happened."""

from __future__ import annotations

import json
from typing import Any

from components.retraining.history import record_of
from pipelines.ir.executor_input import StepCall
from pipelines.notify import NotifyConfig, message, send


def run(call: StepCall) -> None:
    """Send what the report step wrote; when it did not come to that, what KFP says of the run."""
    config, parameters = call.config(), call.parameters
    record = record_of(parameters["root"], parameters["run_id"])
    if record is None:
        record = _unfinished(config["pipeline"], parameters)
    send(NotifyConfig.model_validate(config["notify"]), message(record))


def _unfinished(pipeline: str, parameters: dict[str, Any]) -> dict[str, Any]:
    status = parameters.get("status") or {}
    status = json.loads(status) if isinstance(status, str) else status
    error = (status.get("error") or {}).get("message") or f"KFP says {status.get('state', 'nothing')}"
    return {
        "run_id": parameters["run_id"],
        "pipeline": pipeline,
        "status": "failed",
        "verdict": None,
        "pushed": None,
        "failure": {"component": None, "message": error},
    }
