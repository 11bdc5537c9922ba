"""What a pipeline leaves on disk is whole or absent, and belongs to one run at a time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from components.errors import SpecError
from pipelines.state import PipelineRoot, Record, read_json, write_json

HOLDER = """
import sys, time
from pipelines.state import PipelineRoot
with PipelineRoot(sys.argv[1]).lock("20260101-000000"):
    print("held", flush=True)
    time.sleep(60)
"""


def record(key: str = "k", **changes) -> Record:
    """Return a record of a Trainer."""
    fields = {
        "node": "Trainer",
        "key": key,
        "facts": {},
        "inputs": {},
        "outputs": {"model": {"uri": "/m", "artifact_id": 7, "type": "Model"}},
        "run_id": "r",
        "seconds": 1.0,
        "peak_memory_mb": 2.0,
    }
    return Record(**{**fields, **changes})


def test_a_record_is_read_back_as_it_was_written(tmp_path):
    root = PipelineRoot(tmp_path)
    root.write_record(record(summary={"epochs": 3}))
    assert root.record("Trainer", "k") == record(summary={"epochs": 3})
    assert root.record("Trainer", "other") is None


def test_json_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"a": 1})
    write_json(path, {"a": 2})
    assert read_json(path) == {"a": 2}
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_runs_started_in_the_same_second_get_their_own_folders(tmp_path):
    root = PipelineRoot(tmp_path)
    assert len({root.new_run()[0] for _ in range(5)}) == 5


def test_a_run_that_is_not_there_names_the_ones_that_are(tmp_path):
    root = PipelineRoot(tmp_path)
    run_id, folder = root.new_run()
    write_json(folder / "run.json", {"run_id": run_id})
    assert root.run("latest")["run_id"] == run_id
    with pytest.raises(SpecError, match=run_id):
        root.run("nonsense")


def test_a_second_run_is_refused_by_name_and_a_killed_one_leaves_no_lock(tmp_path):
    root = PipelineRoot(tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(SpecError, match=rf"run 20260101-000000 \(process {holder.pid}\)"), root.lock("second"):
            pass
    finally:
        holder.kill()
        holder.wait()
    with root.lock("second"):
        assert read_json(root.folder / "lock")["run_id"] == "second"


def test_a_run_that_waits_gets_the_lock_when_the_other_ends(tmp_path):
    root = PipelineRoot(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER.replace("sleep(60)", "sleep(1)"), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    with root.lock("second", wait=True):
        assert holder.wait(timeout=5) == 0
