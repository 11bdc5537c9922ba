"""Whether the exported model can be served: a fresh process with TensorFlow alone answers recorded requests with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from components.evaluation import servability_check

SAMPLE_FILE = "sample.json"
TIMEOUT_SECONDS = 300


class ServabilityCheck:
    """Starts the check at once, so that it runs beside the evaluation; `result` waits for it.

    Args:
        model_dir: folder of the SavedModel.
        sample_file: the requests and what training answered, as the Trainer writes them.
    """

    def __init__(self, model_dir: str, sample_file: str | Path) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._sample_file = Path(sample_file)
        if not self._sample_file.is_file():
            return
        # -P keeps the script's own folder off the module path: its neighbours must not shadow anybody's modules.
        command = [sys.executable, "-P", servability_check.__file__, model_dir, str(self._sample_file)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def result(self) -> dict[str, Any]:
        """Return part `servability` of verdict.json."""
        if self._process is None:
            return _failed(f"The model has no {self._sample_file.name} with requests to answer.")
        try:
            answer, errors = self._process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.stop()
            return _failed(f"A fresh process did not answer within {TIMEOUT_SECONDS} s.")
        if self._process.returncode:
            last = (errors.strip().splitlines() or ["no message"])[-1]
            return _failed(f"A fresh process could not answer with the exported model: {last}")
        return {"checked": True, **json.loads(answer.strip().splitlines()[-1])}

    def stop(self) -> None:
        """End the process; for an evaluation that failed meanwhile."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def not_checked() -> dict[str, Any]:
    """Return the part for a spec that turns the check off."""
    return {**_failed("The spec turns it off."), "checked": False}


def _failed(reason: str) -> dict[str, Any]:
    return {"checked": True, "ok": False, "max_abs_difference": None, "requests": 0, "reason": reason}
