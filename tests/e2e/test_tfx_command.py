"""The `tfx` command line runs the pipeline too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.factories.sluice_command import QUICK, environment

RUNNER = Path(__file__).parents[2] / "pipelines" / "tfx_runner.py"


def test_tfx_creates_and_runs_the_pipeline(tmp_path):
    spec = tmp_path / "taxi.yaml"
    text = (RUNNER.parent / "specs" / "taxi.yaml").read_text()
    spec.write_text(text.replace("epochs: 10", "epochs: 2"))
    assert QUICK[0] == "training.epochs=2"
    home = environment() | {
        "HOME": str(tmp_path / "home"),
        "SLUICE_SPEC": str(spec),
        "SLUICE_ROOT": str(tmp_path / "root"),
        "TFX_HOME": str(tmp_path / "tfx"),
    }

    def tfx(*words: str) -> str:
        command = [str(Path(sys.executable).parent / "tfx"), *words, "--engine", "local"]
        done = subprocess.run(command, cwd=tmp_path, env=home, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "created successfully" in tfx("pipeline", "create", "--pipeline_path", str(RUNNER))
    printed = tfx("run", "create", "--pipeline_name", "taxi")
    assert "The gate lets the model pass" in printed
    (record,) = (tmp_path / "root" / "runs").glob("*/run.json")
    assert json.loads(record.read_text())["status"] == "pushed"
