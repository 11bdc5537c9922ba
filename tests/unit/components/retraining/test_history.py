"""What earlier runs tell the decision, read from the records they left."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from components.retraining.decision import Blessed, Training
from components.retraining.history import blessed_model, last_training, newest_first


def write(root: Path, run_id: str, status: str, **keys: object) -> None:
    folder = root / "runs" / run_id
    folder.mkdir(parents=True)
    record = {"run_id": run_id, "status": status, "started": "2026-11-20T03:00:00+00:00", **keys}
    (folder / "run.json").write_text(json.dumps(record))


def test_a_pipeline_that_never_ran_has_no_training(tmp_path):
    assert last_training(newest_first(str(tmp_path))) is None
    assert blessed_model(str(tmp_path), None) is None


def test_the_last_training_is_the_last_run_that_came_to_the_gate(tmp_path):
    decision = {"go": True, "settings": {"Trainer": "a"}}
    write(tmp_path, "20261120-1", "pushed", data={"fingerprint": "x"})
    write(
        tmp_path, "20261121-1", "blocked", data={"fingerprint": "y"}, decision=decision, now="2026-01-02T03:00:00+00:00"
    )
    for number, status in enumerate(("failed", "skipped", "cached", "partial", "running")):
        write(tmp_path, f"20261122-{number}", status, data={"fingerprint": "z"})
    (tmp_path / "runs" / "20261123-1").mkdir()
    found = last_training(newest_first(str(tmp_path)))
    assert found == Training("20261121-1", datetime(2026, 1, 2, 3, tzinfo=UTC), False, "y", {"Trainer": "a"})


def test_a_record_without_a_decision_tells_what_it_can(tmp_path):
    write(tmp_path, "1", "pushed")
    assert last_training(newest_first(str(tmp_path))) == Training("1", datetime(2026, 11, 20, 3, tzinfo=UTC), True)


def test_no_more_records_are_read_than_needed(tmp_path):
    write(tmp_path, "1", "pushed")
    (tmp_path / "runs" / "1" / "run.json").write_text("not JSON")
    write(tmp_path, "2", "pushed")
    assert last_training(newest_first(str(tmp_path))).run_id == "2"


def test_a_blessed_model_is_as_old_as_its_run(tmp_path):
    model = {"version": 7, "run_id": "1", "at": "2026-11-20T03:09:00+00:00"}
    assert blessed_model(str(tmp_path), model) == Blessed(7, datetime(2026, 11, 20, 3, 9, tzinfo=UTC))
    write(tmp_path, "1", "pushed")
    assert blessed_model(str(tmp_path), model) == Blessed(7, datetime(2026, 11, 20, 3, tzinfo=UTC))


def test_names_of_runs_say_nothing_of_the_time(tmp_path):
    for order, name in enumerate(("f00d", "cafe", "beef")):
        write(tmp_path, name, "pushed")
        os.utime(tmp_path / "runs" / name / "run.json", (1e9 + order, 1e9 + order))
    assert [run["run_id"] for run in newest_first(str(tmp_path))] == ["beef", "cafe", "f00d"]
